"""LocalStack's side: one `ProcessExecutor` for each execution environment that LocalStack wants.

Chosen with LAMBDA_RUNTIME_EXECUTOR=process.
"""

import logging
import math
import os

from localstack import config
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor

from .environment import Environment, Outcome
from .runtime_api import InitFailed

LOG = logging.getLogger(__name__)

# Functions inherit this variable, and no other: emulator.sh knows by it which processes to end.
MARKER = "BIRDSONG_EMULATOR"


class ProcessExecutorPlugin(RuntimeExecutorPlugin):
    name = "process"

    def load(self, *_args, **_kwargs) -> type[RuntimeExecutor]:
        return ProcessExecutor


class ProcessExecutor(RuntimeExecutor):
    _environment: Environment | None = None

    def start(self, env_vars: dict[str, str]) -> None:
        function = self.function_version.config
        variables = {name: str(value) for name, value in env_vars.items()}
        if MARKER in os.environ:
            variables[MARKER] = os.environ[MARKER]
        self._environment = Environment(str(function.code.get_unzipped_code_location()), variables, function.timeout)
        try:
            self._environment.start()
        except InitFailed as failed:
            name = self.function_version.id.function_name
            LOG.warning("Lambda function %s does not start: %s\n%s", name, failed, self._environment.output())
            raise StatusErrorException("Environment startup failed", payload=failed.payload) from failed

    def stop(self) -> None:
        if self._environment:
            self._environment.stop()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        request_id = payload["invoke-id"]
        outcome = self._environment.invoke(
            request_id, payload["payload"].encode(), payload["invoked-function-arn"], payload["trace-id"]
        )
        return InvocationResult(
            request_id, outcome.answer.payload, outcome.answer.is_error, logs=self._log(request_id, outcome)
        )

    def _log(self, request_id: str, outcome: Outcome) -> str:
        """The lines of one invocation, framed as Lambda frames them."""
        output = outcome.output if outcome.output.endswith("\n") or not outcome.output else f"{outcome.output}\n"
        return (
            f"START RequestId: {request_id} Version: {self.function_version.id.qualifier}\n"
            f"{output}"
            f"END RequestId: {request_id}\n"
            f"REPORT RequestId: {request_id}\tDuration: {outcome.duration_ms:.2f} ms"
            f"\tBilled Duration: {math.ceil(outcome.duration_ms)} ms"
            f"\tMemory Size: {self.function_version.config.memory_size} MB\n"
        )

    def get_logs(self) -> str:
        return self._environment.output() if self._environment else ""

    def get_address(self) -> str:
        return "127.0.0.1"

    def get_endpoint_from_executor(self) -> str:
        return "127.0.0.1"

    def get_runtime_endpoint(self) -> str:
        # LocalStack puts it into the function's environment for its own init program, which does not run here.
        return f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}/unused/{self.id}"

    @classmethod
    def prepare_version(cls, function_version) -> None:
        runtime = function_version.config.runtime or "a container image"
        if not runtime.startswith("provided"):
            raise NotImplementedError(f"Only the runtimes provided.* run as plain processes, not {runtime}.")
        function_version.config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version) -> None:
        pass  # LocalStack itself removes the unpacked code.
