# The deployment with everything that has a role or a policy. scripts/infra-check.sh reads its policies.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  aggregator_zip = "tests/fixtures/function.zip"
  api_zip        = "tests/fixtures/function.zip"
  digest_zip     = "tests/fixtures/function.zip"
  site_dir       = "tests/fixtures/site"
  streamer_image = "registry.example/streamer:1"
  sources        = "bluesky,x:?budget=5/day,mastodon:mastodon.example"
  reference      = "x-counts:?every=1h&budget=1/day"
  streamer_spool = "efs"
  alert_secrets  = { ALERT_URL = "new" }
  # Otherwise Terraform could not destroy what the test has made.
  deletion_protection = false
}

run "everything" {
  assert {
    condition     = length(module.streamer) == 1 && var.api_access_logs && var.api_gateway_account_role
    error_message = "a part is left out, so its policies would not be checked"
  }
}
