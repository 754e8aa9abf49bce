// The deployer's policies (deployer-policy/) allow what every resource and data source here needs, and name no unknown action.
// No emulator enforces IAM, so the table below is the only test. Its actions are those that the provider calls to create, read,
// change, tag and delete each type.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';

const infra = path.resolve(import.meta.dirname, '..');

const list = (service, names) => names.split(/\s+/).map((name) => `${service}:${name}`);

const cloudfront = (kind, more = '') => list('cloudfront', `Create${kind} Delete${kind} Get${kind} Update${kind} ${more}`.trim());
const logGroup = list('logs', 'CreateLogGroup DeleteLogGroup DescribeLogGroups ListTagsForResource PutRetentionPolicy TagResource UntagResource');
const securityGroup = list('ec2', 'AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateSecurityGroup CreateTags DeleteSecurityGroup DeleteTags DescribeNetworkInterfaces DescribeSecurityGroups RevokeSecurityGroupEgress RevokeSecurityGroupIngress');
const apiGateway = list('apigateway', 'DELETE GET PATCH POST PUT');

/** Resource or data source => the actions that its type needs. */
const NEEDS = {
  'data.aws_availability_zones': list('ec2', 'DescribeAvailabilityZones'),
  'data.aws_caller_identity': [], // sts:GetCallerIdentity needs no permission
  'data.aws_ssm_parameters_by_path': list('ssm', 'GetParametersByPath'),
  aws_api_gateway_account: [...apiGateway, 'iam:PassRole'],
  aws_api_gateway_api_key: apiGateway,
  aws_api_gateway_deployment: apiGateway,
  aws_api_gateway_gateway_response: apiGateway,
  aws_api_gateway_integration: apiGateway,
  aws_api_gateway_method: apiGateway,
  aws_api_gateway_method_settings: apiGateway,
  aws_api_gateway_resource: apiGateway,
  aws_api_gateway_rest_api: apiGateway,
  aws_api_gateway_stage: apiGateway,
  aws_api_gateway_usage_plan: apiGateway,
  aws_api_gateway_usage_plan_key: apiGateway,
  aws_budgets_budget: list('budgets', 'ListTagsForResource ModifyBudget TagResource UntagResource ViewBudget'),
  aws_cloudfront_cache_policy: cloudfront('CachePolicy'),
  aws_cloudfront_distribution: cloudfront('Distribution', 'ListTagsForResource TagResource UntagResource'),
  aws_cloudfront_function: cloudfront('Function', 'DescribeFunction PublishFunction'),
  aws_cloudfront_origin_access_control: cloudfront('OriginAccessControl'),
  aws_cloudfront_response_headers_policy: cloudfront('ResponseHeadersPolicy'),
  aws_cloudwatch_composite_alarm: list('cloudwatch', 'DeleteAlarms DescribeAlarms ListTagsForResource PutCompositeAlarm TagResource UntagResource'),
  aws_cloudwatch_dashboard: list('cloudwatch', 'DeleteDashboards GetDashboard PutDashboard'),
  aws_cloudwatch_log_group: logGroup,
  aws_cloudwatch_metric_alarm: list('cloudwatch', 'DeleteAlarms DescribeAlarms ListTagsForResource PutMetricAlarm TagResource UntagResource'),
  aws_default_security_group: securityGroup,
  aws_dynamodb_table: list('dynamodb', 'CreateTable DeleteTable DescribeContinuousBackups DescribeTable DescribeTimeToLive ListTagsOfResource TagResource UntagResource UpdateContinuousBackups UpdateTable UpdateTimeToLive'),
  aws_ecr_lifecycle_policy: list('ecr', 'DeleteLifecyclePolicy GetLifecyclePolicy PutLifecyclePolicy'),
  aws_ecr_repository: list('ecr', 'CreateRepository DeleteRepository DescribeRepositories ListTagsForResource PutImageScanningConfiguration PutImageTagMutability TagResource UntagResource'),
  aws_ecs_cluster: list('ecs', 'CreateCluster DeleteCluster DescribeClusters ListTagsForResource TagResource UntagResource'),
  aws_ecs_service: [...list('ecs', 'CreateService DeleteService DescribeServices ListTagsForResource TagResource UntagResource UpdateService'), 'iam:CreateServiceLinkedRole'],
  aws_ecs_task_definition: [...list('ecs', 'DeregisterTaskDefinition DescribeTaskDefinition ListTagsForResource RegisterTaskDefinition TagResource UntagResource'), 'iam:PassRole'],
  aws_efs_access_point: list('elasticfilesystem', 'CreateAccessPoint DeleteAccessPoint DescribeAccessPoints ListTagsForResource TagResource UntagResource'),
  aws_efs_file_system: [...list('elasticfilesystem', 'CreateFileSystem DeleteFileSystem DescribeFileSystems DescribeLifecycleConfiguration ListTagsForResource TagResource UntagResource UpdateFileSystem'), 'iam:CreateServiceLinkedRole'],
  aws_efs_mount_target: [...list('elasticfilesystem', 'CreateMountTarget DeleteMountTarget DescribeMountTargetSecurityGroups DescribeMountTargets ModifyMountTargetSecurityGroups'), ...list('ec2', 'CreateNetworkInterface DeleteNetworkInterface DescribeNetworkInterfaces DescribeSubnets ModifyNetworkInterfaceAttribute')],
  aws_iam_role: list('iam', 'CreateRole DeleteRole DeleteRolePermissionsBoundary GetRole ListAttachedRolePolicies ListInstanceProfilesForRole ListRolePolicies PutRolePermissionsBoundary TagRole UntagRole UpdateAssumeRolePolicy UpdateRole'),
  aws_iam_role_policy: list('iam', 'DeleteRolePolicy GetRolePolicy PutRolePolicy'),
  aws_internet_gateway: list('ec2', 'AttachInternetGateway CreateInternetGateway CreateTags DeleteInternetGateway DeleteTags DescribeInternetGateways DetachInternetGateway'),
  aws_kinesis_stream: list('kinesis', 'AddTagsToStream CreateStream DecreaseStreamRetentionPeriod DeleteStream DescribeLimits DescribeStreamSummary IncreaseStreamRetentionPeriod ListTagsForStream RemoveTagsFromStream StartStreamEncryption StopStreamEncryption UpdateShardCount UpdateStreamMode'),
  aws_lambda_alias: list('lambda', 'CreateAlias DeleteAlias GetAlias UpdateAlias'),
  aws_lambda_event_source_mapping: list('lambda', 'CreateEventSourceMapping DeleteEventSourceMapping GetEventSourceMapping ListTags TagResource UntagResource UpdateEventSourceMapping'),
  aws_lambda_function: [...list('lambda', 'CreateFunction DeleteFunction DeleteFunctionConcurrency GetFunction GetFunctionCodeSigningConfig GetFunctionConfiguration ListTags ListVersionsByFunction PublishVersion PutFunctionConcurrency TagResource UntagResource UpdateFunctionCode UpdateFunctionConfiguration'), 'iam:PassRole'],
  aws_lambda_function_event_invoke_config: list('lambda', 'DeleteFunctionEventInvokeConfig GetFunctionEventInvokeConfig PutFunctionEventInvokeConfig'),
  aws_lambda_permission: list('lambda', 'AddPermission GetPolicy RemovePermission'),
  aws_route53_record: list('route53', 'ChangeResourceRecordSets GetChange GetHostedZone ListResourceRecordSets'),
  aws_route_table: list('ec2', 'CreateRoute CreateRouteTable CreateTags DeleteRoute DeleteRouteTable DeleteTags DescribeRouteTables ReplaceRoute'),
  aws_route_table_association: list('ec2', 'AssociateRouteTable DescribeRouteTables DisassociateRouteTable ReplaceRouteTableAssociation'),
  aws_s3_bucket: list('s3', 'CreateBucket DeleteBucket DeleteObject DeleteObjectVersion GetAccelerateConfiguration GetBucketAcl GetBucketCORS GetBucketLogging GetBucketObjectLockConfiguration GetBucketPolicy GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite GetEncryptionConfiguration GetLifecycleConfiguration GetReplicationConfiguration ListBucket ListBucketVersions PutBucketTagging'),
  aws_s3_bucket_lifecycle_configuration: list('s3', 'GetLifecycleConfiguration PutLifecycleConfiguration'),
  aws_s3_bucket_ownership_controls: list('s3', 'GetBucketOwnershipControls PutBucketOwnershipControls'),
  aws_s3_bucket_policy: list('s3', 'DeleteBucketPolicy GetBucketPolicy PutBucketPolicy'),
  aws_s3_bucket_public_access_block: list('s3', 'GetBucketPublicAccessBlock PutBucketPublicAccessBlock'),
  aws_s3_bucket_server_side_encryption_configuration: list('s3', 'GetEncryptionConfiguration PutEncryptionConfiguration'),
  aws_s3_bucket_versioning: list('s3', 'GetBucketVersioning PutBucketVersioning'),
  aws_s3_bucket_website_configuration: [], // emulators only
  aws_s3_object: list('s3', 'DeleteObject DeleteObjectVersion GetObject GetObjectTagging ListBucketVersions PutObject PutObjectTagging'),
  aws_scheduler_schedule: [...list('scheduler', 'CreateSchedule DeleteSchedule GetSchedule UpdateSchedule'), 'iam:PassRole'],
  aws_scheduler_schedule_group: list('scheduler', 'CreateScheduleGroup DeleteScheduleGroup GetScheduleGroup ListTagsForResource TagResource UntagResource'),
  aws_secretsmanager_secret: list('secretsmanager', 'CreateSecret DeleteSecret DescribeSecret GetResourcePolicy TagResource UntagResource UpdateSecret'),
  aws_security_group: securityGroup,
  aws_sns_topic: list('sns', 'CreateTopic DeleteTopic GetTopicAttributes ListTagsForResource SetTopicAttributes TagResource UntagResource'),
  aws_sns_topic_policy: list('sns', 'GetTopicAttributes SetTopicAttributes'),
  aws_sns_topic_subscription: list('sns', 'GetSubscriptionAttributes ListSubscriptionsByTopic Subscribe Unsubscribe'),
  aws_ssm_parameter: list('ssm', 'AddTagsToResource DeleteParameter DescribeParameters GetParameter GetParameters ListTagsForResource PutParameter RemoveTagsFromResource'),
  aws_subnet: list('ec2', 'CreateSubnet CreateTags DeleteSubnet DeleteTags DescribeNetworkInterfaces DescribeSubnets ModifySubnetAttribute'),
  aws_vpc: list('ec2', 'CreateTags CreateVpc DeleteTags DeleteVpc DescribeNetworkAcls DescribeRouteTables DescribeSecurityGroups DescribeVpcAttribute DescribeVpcs ModifyVpcAttribute'),
  aws_vpc_security_group_ingress_rule: list('ec2', 'AuthorizeSecurityGroupIngress CreateTags DeleteTags DescribeSecurityGroupRules ModifySecurityGroupRules RevokeSecurityGroupIngress'),
  terraform_data: [],
};

/** Commands of scripts/deploy.sh => actions, where the name of the command is not the name of the action. */
const COMMANDS = {
  'ecr get-login-password': ['ecr:GetAuthorizationToken'],
  'ecr describe-images': ['ecr:DescribeImages'],
  'lambda invoke': ['lambda:InvokeFunction'],
  'sts get-caller-identity': [],
};
// What docker does with the registry.
const PUSH = list('ecr', 'BatchCheckLayerAvailability BatchGetImage CompleteLayerUpload GetDownloadUrlForLayer InitiateLayerUpload PutImage UploadLayerPart');

const files = readdirSync(infra, { recursive: true }).filter((name) => name.endsWith('.tf') && !name.includes('.terraform'));
const declared = [...new Set(files.flatMap((name) =>
  [...readFileSync(path.join(infra, name), 'utf8').matchAll(/^(resource|data) "(\w+)"/gm)].map(([, kind, type]) => (kind === 'data' ? `data.${type}` : type)),
))].sort();

const policies = Object.fromEntries(readdirSync(path.join(infra, 'deployer-policy')).map((name) => [name, JSON.parse(readFileSync(path.join(infra, 'deployer-policy', name), 'utf8'))]));
const statements = Object.values(policies).flatMap(({ Statement }) => Statement);
const allowed = statements.flatMap(({ Action }) => Action);

/** Whether an action is one that a pattern of a policy allows. */
const matches = (pattern, action) => new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(action);
const isAllowed = (action) => allowed.some((pattern) => matches(pattern, action));

test('every type has its actions in the table', () => {
  assert.deepEqual(declared.filter((type) => !(type in NEEDS)), []);
});

test('every action that a type needs is allowed', () => {
  const missing = declared.flatMap((type) => NEEDS[type].filter((action) => !isAllowed(action)).map((action) => `${type}: ${action}`));
  assert.deepEqual(missing, []);
});

test('every command of deploy.sh is allowed', () => {
  const script = readFileSync(path.resolve(infra, '../scripts/deploy.sh'), 'utf8');
  const commands = [...script.matchAll(/(?:\baws|invoke=\(|asked "\$work\/\w+" "[^"]*") ?([a-z0-9]+) ([a-z]+(?:-[a-z]+)*)/g)].map(([, service, command]) => `${service} ${command}`);
  const services = { logs: 'logs', 'service-quotas': 'servicequotas' };
  // They are printed for people, who are others than the deployer.
  const printed = ['secretsmanager restore-secret', 'configure sso', 'logs tail'];
  const needed = [...new Set(commands)].filter((each) => !printed.includes(each)).flatMap((each) => {
    const [service, command] = each.split(' ');
    const action = command.split('-').map((word) => word[0].toUpperCase() + word.slice(1)).join('');
    return COMMANDS[each] ?? [`${services[service] ?? service}:${action}`];
  });
  assert.ok(needed.includes('ssm:GetParameterHistory') && needed.includes('lambda:UpdateAlias') && needed.length > 15, needed.join(' '));
  assert.deepEqual([...needed, ...PUSH].filter((action) => !isAllowed(action)), []);
});

test('nothing is allowed that nothing needs', () => {
  const known = [...Object.values(NEEDS).flat(), ...PUSH, ...list('s3', 'DeleteObject GetObject ListBucket PutObject'),
    // deploy.sh, and what a restore, an import and newer versions of the provider call.
    'iam:GetRole', 'cloudfront:ListDistributions', 'ecr:DescribeImages', 'ecr:GetAuthorizationToken', 'ecs:DescribeTasks', 'ecs:ListTaskDefinitions', 'ecs:ListTasks',
    'kinesis:ListTagsForResource', 'kinesis:TagResource', 'kinesis:UntagResource', 'lambda:GetAccountSettings', 'lambda:GetFunctionConcurrency', 'lambda:InvokeFunction',
    'logs:DeleteRetentionPolicy', 'logs:DescribeLogStreams', 'logs:FilterLogEvents', 'logs:GetLogEvents', 'secretsmanager:ListSecretVersionIds',
    'secretsmanager:PutSecretValue', 'secretsmanager:RestoreSecret', 'ssm:GetParameterHistory', 'ec2:UpdateSecurityGroupRuleDescriptionsEgress'];
  assert.deepEqual(allowed.filter((pattern) => !known.some((action) => matches(pattern, action))), []);
});

test('the deployer cannot read a secret, or grant itself more', () => {
  for (const action of ['secretsmanager:GetSecretValue', 'iam:AttachRolePolicy', 'iam:CreateUser', 'iam:CreatePolicyVersion', 'kinesis:GetRecords', 'dynamodb:GetItem', 'dynamodb:Scan']) {
    assert.ok(!isAllowed(action), action);
  }
});

test('a statement without a resource has no action that could name one', () => {
  const everywhere = statements.filter(({ Resource }) => [Resource].flat().includes('*'));
  assert.deepEqual(everywhere.map(({ Sid }) => Sid), ['WithoutResource']);
  assert.deepEqual(everywhere.flatMap(({ Action }) => Action).filter((action) => /:(Put|Delete|Update|Tag|Attach|Pass)/.test(action)), []);
  for (const { Sid, Resource } of statements.filter((each) => !everywhere.includes(each))) {
    assert.ok([Resource].flat().every((arn) => arn.startsWith('arn:aws:')), Sid);
  }
});

test('roles are passed to these services only', () => {
  const passing = statements.filter(({ Action }) => Action.includes('iam:PassRole'));
  assert.deepEqual(passing.map(({ Condition }) => Condition.StringEquals['iam:PassedToService']), [['apigateway.amazonaws.com', 'ecs-tasks.amazonaws.com', 'lambda.amazonaws.com', 'scheduler.amazonaws.com']]);
});

test('each document fits into a managed policy', () => {
  for (const [name, policy] of Object.entries(policies)) {
    const text = JSON.stringify(policy).replaceAll('REGION', 'ap-northeast-1').replaceAll('ACCOUNT', '123456789012').replaceAll('NAME', 'a'.repeat(20)).replaceAll('STATE', 'x'.repeat(63));
    assert.ok(text.length <= 6144, `${name} has ${text.length} characters`);
    const ids = policy.Statement.map(({ Sid }) => Sid);
    assert.equal(new Set(ids).size, ids.length);
  }
});
