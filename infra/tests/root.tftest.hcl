# The whole deployment with the defaults of prod.tfvars, and rules for all files.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  aggregator_zip = "tests/fixtures/function.zip"
  api_zip        = "tests/fixtures/function.zip"
  digest_zip     = "tests/fixtures/function.zip"
  site_dir       = "tests/fixtures/site"
  # Otherwise Terraform could not destroy what a test has made.
  deletion_protection = false
}

run "production" {
  assert {
    condition     = length(module.observability.alarms) == 29 && length(distinct(module.observability.alarms)) == 29
    error_message = "there are 26 alarms, and 3 for a source"
  }
  assert {
    condition     = output.site_url == "https://d1.cloudfront.net"
    error_message = "the site is at CloudFront, not ${output.site_url}"
  }
  assert {
    condition     = output.api_url == "https://abc123.execute-api.us-east-1.amazonaws.com/live"
    error_message = "the API is at API Gateway, not ${output.api_url}"
  }
  assert {
    condition     = output.ecr_repository != null && output.secrets == tomap({ BIRDSONG_AUTHOR_KEY = "birdsong/author-key" })
    error_message = "there is a streamer, and its source needs no token"
  }
}

run "nothing_is_archived_unless_asked_for" {
  assert {
    condition     = output.archive_bucket == null
    error_message = "there is no bucket for days of the log"
  }
}

run "days_of_the_log_have_a_bucket" {
  variables {
    archive_days = 400
  }
  assert {
    condition     = output.archive_bucket != null
    error_message = "there is a bucket for days of the log"
  }
}

run "cloudfront_is_the_only_door" {
  assert {
    condition     = module.api.key != null && local.require_api_key
    error_message = "the API requires the key of CloudFront"
  }
  assert {
    condition     = can(regex("^[0-9a-f-]{36}$", nonsensitive(module.api.key))) && issensitive(module.api.key)
    error_message = "the key is random, and no plan shows it"
  }
  assert {
    condition     = length(regexall("module[.]api[.]key|var[.]viewer_credentials", file("${path.root}/outputs.tf"))) == 0
    error_message = "no output has a secret"
  }
}

run "without_cloudfront_no_key_is_required" {
  variables {
    aws_endpoint = "http://127.0.0.1:4599"
    enable_cdn   = false
  }
  assert {
    condition     = !local.require_api_key && module.api.key == null
    error_message = "nobody could send the key"
  }
}

run "the_key_can_be_given_up" {
  variables {
    api_requires_key = false
  }
  assert {
    condition     = !local.require_api_key && module.api.key == null
    error_message = "callers without CloudFront need no key"
  }
}

run "x_has_a_secret_for_its_token" {
  variables {
    sources = "x:?budget=5/day"
  }
  assert {
    condition     = output.secrets["X_BEARER_TOKEN"] == "birdsong/x-bearer-token"
    error_message = "the token of X has a secret"
  }
  assert {
    condition     = contains(module.observability.alarms, "birdsong-x-not-connected")
    error_message = "options are not part of a source's name"
  }
}

run "counts_of_x_need_its_token" {
  variables {
    sources   = "bluesky"
    reference = "x-counts:?every=1h&budget=1/day"
  }
  assert {
    condition     = output.secrets["X_BEARER_TOKEN"] == "birdsong/x-bearer-token"
    error_message = "the token of X has a secret"
  }
  assert {
    condition     = !contains(module.observability.alarms, "birdsong-x-not-connected")
    error_message = "counts are no source"
  }
}

run "mastodon_has_a_secret_for_its_token" {
  variables {
    sources = "bluesky,mastodon://mastodon.example?feed=local"
  }
  assert {
    condition     = output.secrets == tomap({ BIRDSONG_AUTHOR_KEY = "birdsong/author-key", MASTODON_TOKEN = "birdsong/mastodon-token" })
    error_message = "the token of Mastodon has a secret"
  }
  assert {
    condition     = length(module.observability.alarms) == 32 && contains(module.observability.alarms, "birdsong-mastodon-mastodon.example-not-connected")
    error_message = "each source has alarms"
  }
}

run "a_server_that_needs_no_token_has_no_secret" {
  variables {
    sources = "mastodon:mastodon.example"
    secrets = { MASTODON_TOKEN = "none" }
  }
  assert {
    condition     = output.secrets == tomap({ BIRDSONG_AUTHOR_KEY = "birdsong/author-key" })
    error_message = "an empty secret would keep the task from starting"
  }
}

run "a_secret_that_exists_is_used" {
  variables {
    sources = "mastodon:mastodon.example"
    secrets = {
      MASTODON_TOKEN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf"
      X_BEARER_TOKEN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:for-later-AbCdEf"
    }
  }
  assert {
    condition = output.secrets == tomap({
      BIRDSONG_AUTHOR_KEY = "birdsong/author-key"
      MASTODON_TOKEN      = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf"
    })
    error_message = "an existing secret replaces the one of the same name, and the secret of a source that is not used has no effect"
  }
}

# A new source is a line in sources.json: the key of author hashes and what X costs are all that Terraform knows by name.
run "sources_are_listed_once" {
  command = plan
  assert {
    condition = alltrue([
      for f in setunion(fileset(path.root, "*.tf"), fileset(path.root, "modules/**/*.tf")) : alltrue([
        for kind in jsondecode(file("${path.root}/sources.json")) :
        length(regexall("\"${kind.scheme}\"|\"${kind.scheme}:", replace(file("${path.root}/${f}"), "/default +=.*|metered_schemes +=.*/", ""))) == 0
      ])
    ])
    error_message = "a source is named outside of sources.json"
  }
  assert {
    condition = alltrue([
      for kind in jsondecode(file("${path.root}/sources.json")) :
      keys(kind) == ["network", "scheme", "secret", "secret_required"] && (kind.secret == null ? !kind.secret_required : can(regex("^[A-Z][A-Z0-9_]*$", kind.secret)))
    ])
    error_message = "sources.json has another form"
  }
}

run "an_emulator_serves_by_path" {
  variables {
    aws_endpoint = "http://127.0.0.1:4599"
  }
  assert {
    condition     = startswith(output.api_url, "http://127.0.0.1:4599/_aws/execute-api/") && endswith(output.api_url, "/live")
    error_message = "the API is at the emulator, not ${output.api_url}"
  }
  assert {
    condition     = output.site_url == "http://d1.cloudfront.localhost:4599"
    error_message = "the site is at the emulator, not ${output.site_url}"
  }
}

run "no_nat_gateway" {
  command = plan
  assert {
    condition     = alltrue([for f in fileset(path.root, "**/*.tf") : !strcontains(file("${path.root}/${f}"), "aws_nat_gateway")])
    error_message = "a NAT gateway costs more than everything else: the streamer has a public address and no open port"
  }
}

# policies.tftest.hcl checks every policy.
run "no_other_policies" {
  command = plan
  assert {
    condition = tomap({
      for f in fileset(path.root, "modules/**/*.tf") : f => length(regexall("resource \"aws_iam_[a-z_]*policy", file("${path.root}/${f}")))
      if strcontains(file("${path.root}/${f}"), "resource \"aws_iam_role")
      }) == tomap({
      "modules/aggregator/main.tf" = 1
      "modules/api/main.tf"        = 2
      "modules/digest/main.tf"     = 2
      "modules/streamer/roles.tf"  = 2
    })
    error_message = "a role or policy is new: add it to policies.tftest.hcl"
  }
  assert {
    condition = alltrue([
      for f in fileset(path.root, "**/*.tf") : !can(regex("aws_iam_(role_policy_attachment|policy_attachment|policy\"|user|group)|managed_policy_arns", file("${path.root}/${f}")))
    ])
    error_message = "each role has only inline policies, in its module"
  }
}

run "each_role_may_have_a_boundary" {
  command = plan
  assert {
    condition = alltrue([
      for f in fileset(path.root, "modules/**/*.tf") :
      length(regexall("resource \"aws_iam_role\" ", file("${path.root}/${f}"))) == length(regexall("permissions_boundary += var.permissions_boundary", file("${path.root}/${f}")))
    ])
    error_message = "a role has no permissions boundary"
  }
}

run "logs_are_kept_for_a_time" {
  command = plan
  assert {
    condition = alltrue([
      for f in fileset(path.root, "**/*.tf") :
      length(regexall("resource \"aws_cloudwatch_log_group\"", file("${path.root}/${f}"))) == length(regexall("retention_in_days = var.log_retention_days", file("${path.root}/${f}")))
    ])
    error_message = "every log group has a retention"
  }
}
