# What runs is remembered: plain applies keep it, and rollbacks, secrets and the streamer's place are as the settings say.

mock_provider "aws" {
  source = "./tests/mocks"

  override_data {
    target = data.aws_ssm_parameters_by_path.release
    values = {
      values = [
        "{\"aggregator\":\"6\",\"api\":\"4\",\"digest\":\"5\",\"held\":{\"aggregator\":\"7\",\"api\":\"4\"},\"image\":\"registry.example/birdsong:one\",\"secrets\":[\"BIRDSONG_AUTHOR_KEY\",\"X_BEARER_TOKEN\"]}"
      ]
    }
  }
  override_resource {
    target = module.aggregator.aws_lambda_function.this
    values = {
      arn     = "arn:aws:lambda:us-east-1:123456789012:function:aggregator"
      version = "7"
    }
  }
  override_resource {
    target = module.api.aws_lambda_function.this
    values = {
      arn     = "arn:aws:lambda:us-east-1:123456789012:function:api"
      version = "5"
    }
  }
}

variables {
  aggregator_zip = "tests/fixtures/function.zip"
  api_zip        = "tests/fixtures/function.zip"
  digest_zip     = "tests/fixtures/function.zip"
  site_dir       = "tests/fixtures/site"
  # Otherwise Terraform could not destroy what a test has made.
  deletion_protection = false
}

run "an_apply_keeps_what_runs" {
  assert {
    condition     = output.streamer_image == "registry.example/birdsong:one" && output.streamer_task_definition != null
    error_message = "an empty image keeps the one that runs"
  }
  assert {
    condition     = module.aggregator.version == "6"
    error_message = "the newest version was rolled back, so the one before it stays"
  }
  assert {
    condition     = module.api.version == "5"
    error_message = "there is a newer version than the one that was rolled back"
  }
  assert {
    condition = jsondecode(aws_ssm_parameter.release.value).held == { aggregator = "7" } && [
      for part in ["aggregator", "api", "image"] : jsondecode(aws_ssm_parameter.release.value)[part]
    ] == ["6", "5", "registry.example/birdsong:one"]
    error_message = "the next apply keeps what runs, too"
  }
  assert {
    condition     = jsondecode(aws_ssm_parameter.release.value).task_definition == output.streamer_task_definition
    error_message = "a rollback needs the task definition"
  }
  assert {
    condition     = aws_ssm_parameter.release.name == "/birdsong/deployed/release" && startswith(aws_ssm_parameter.release.name, "${data.aws_ssm_parameters_by_path.release.path}/")
    error_message = "what an apply writes, the next one reads"
  }
  assert {
    condition     = output.secrets == tomap({ BIRDSONG_AUTHOR_KEY = "birdsong/author-key" })
    error_message = "the task gets the secrets that its sources need"
  }
  assert {
    condition     = jsondecode(aws_ssm_parameter.release.value).secrets == ["BIRDSONG_AUTHOR_KEY", "X_BEARER_TOKEN"] && contains(local.created_secrets, "X_BEARER_TOKEN")
    error_message = "the secret of a source that was taken out stays, because its name could not be used again for a week"
  }
}

run "a_deployment_brings_the_newest_versions" {
  variables {
    keep_rollback  = false
    streamer_image = "registry.example/birdsong:two"
  }
  assert {
    condition     = module.aggregator.version == "7" && output.streamer_image == "registry.example/birdsong:two"
    error_message = "a deployment runs what is in the checkout"
  }
  assert {
    condition     = jsondecode(aws_ssm_parameter.release.value).held == {}
    error_message = "nothing is rolled back any more"
  }
}

run "a_secret_can_be_deleted_when_no_source_needs_it" {
  variables {
    secrets = { X_BEARER_TOKEN = "none" }
  }
  assert {
    condition     = join(" ", local.created_secrets) == "BIRDSONG_AUTHOR_KEY"
    error_message = "none deletes the secret of a former source"
  }
}

run "an_existing_secret_does_not_delete_the_own_one" {
  variables {
    sources = "x:?budget=5/day"
    secrets = { X_BEARER_TOKEN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf" }
  }
  assert {
    condition     = output.secrets["X_BEARER_TOKEN"] == var.secrets["X_BEARER_TOKEN"] && contains(local.created_secrets, "X_BEARER_TOKEN")
    error_message = "the task reads the existing secret, and the own one can be used again"
  }
}

run "without_a_streamer_there_is_no_image" {
  variables {
    enable_streamer = false
    streamer_image  = "registry.example/birdsong:two"
  }
  assert {
    condition     = output.streamer_image == "" && output.streamer_task_definition == null && jsondecode(aws_ssm_parameter.release.value).secrets == []
    error_message = "the repository is gone, and the image with it"
  }
}

run "a_domain_of_ones_own" {
  variables {
    aliases         = ["birds.example.org", "www.birds.example.org"]
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
    route53_zone_id = "Z0123456789ABCDEFGHIJ"
  }
  assert {
    condition     = output.site_url == "https://birds.example.org" && output.cdn_domain == "d1.cloudfront.net"
    error_message = "the dashboard is at the first alias"
  }
}
