// Whether the streamer's service runs what was deployed: prints stable, failed or waiting, and why.
//   service.mjs FILE TASK-DEFINITION      FILE has the answer of aws ecs describe-services

import { readFileSync } from 'node:fs';

const [file, wanted] = process.argv.slice(2);

/** @returns {[string, string]} */
function state() {
  const service = JSON.parse(readFileSync(file, 'utf8')).services?.[0];
  const newest = service?.deployments?.find(({ status }) => status === 'PRIMARY');
  if (!newest) return ['failed', 'there is no service'];
  // The circuit breaker makes an earlier deployment the primary one.
  if (newest.taskDefinition !== wanted) return ['failed', `ECS went back to ${newest.taskDefinition}`];
  if (newest.rolloutState === 'FAILED') return ['failed', newest.rolloutStateReason ?? ''];
  const { rolloutState = 'COMPLETED', runningCount = 0, desiredCount = 0, pendingCount = 0, failedTasks = 0 } = newest;
  const isStable = rolloutState === 'COMPLETED' && runningCount === desiredCount && service.deployments.length === 1;
  return [isStable ? 'stable' : 'waiting', `${runningCount} of ${desiredCount} tasks run, ${pendingCount} start, ${failedTasks} failed`];
}

console.log(state().join(' '));
