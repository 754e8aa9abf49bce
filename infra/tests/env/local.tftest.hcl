# env/local.tfvars, passed with -var-file: it uses nothing that LocalStack lacks.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  aggregator_zip = "tests/fixtures/function.zip"
  api_zip        = "tests/fixtures/function.zip"
  digest_zip     = "tests/fixtures/function.zip"
  site_dir       = "tests/fixtures/site"
}

run "local" {
  assert {
    condition     = length(module.streamer) == 0 && output.ecr_repository == null
    error_message = "LocalStack has no ECS and no ECR"
  }
  assert {
    condition     = module.site.domain == null
    error_message = "LocalStack has no CloudFront"
  }
  assert {
    condition     = var.table_max_read_request_units == null && var.table_max_write_request_units == null
    error_message = "LocalStack forgets the caps of a table"
  }
  assert {
    condition     = !var.publish_versions
    error_message = "LocalStack's functions seem to change at each apply"
  }
  assert {
    condition     = !local.require_api_key
    error_message = "without CloudFront nobody could send a key"
  }
  assert {
    condition     = !var.enable_budget
    error_message = "LocalStack has no budgets"
  }
  assert {
    condition     = can(regex("^http://[a-z0-9-]+\\.s3-website\\.localhost\\.localstack\\.cloud:[0-9]+$", output.site_url))
    error_message = "LocalStack serves the bucket as a website, not ${output.site_url}"
  }
}
