"""Runs Lambda functions with the runtime `provided.*` as plain processes.

`runtime_api` serves the Lambda Runtime API to one process, `environment` keeps that process alive from one invocation to
the next, and `plugin` joins them to LocalStack. The first two need nothing but the standard library.
"""
