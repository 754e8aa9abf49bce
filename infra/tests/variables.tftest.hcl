# Wrong values are rejected.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  aggregator_zip = "tests/fixtures/function.zip"
  api_zip        = "tests/fixtures/function.zip"
  site_dir       = "tests/fixtures/site"
}

run "names_and_numbers" {
  command = plan
  variables {
    name                            = "Birdsong_"
    aws_region                      = "Montréal"
    aws_endpoint                    = "127.0.0.1:4566"
    sources                         = "bluesky, demo"
    window_secs                     = 7000
    stream_mode                     = "on-demand"
    shard_count                     = 0.5
    stream_retention_hours          = 12
    log_retention_days              = 31
    architecture                    = "aarch64"
    aggregator_memory_mb            = 64
    aggregator_batch_size           = 0
    aggregator_batching_window_secs = 301
    reserved_concurrency            = 0
    api_rate                        = 0
    api_burst                       = 0
    alarm_email                     = "nobody"
    budget_usd                      = 0
  }
  expect_failures = [
    var.name,
    var.aws_region,
    var.aws_endpoint,
    var.sources,
    var.window_secs,
    var.stream_mode,
    var.shard_count,
    var.stream_retention_hours,
    var.log_retention_days,
    var.architecture,
    var.aggregator_memory_mb,
    var.aggregator_batch_size,
    var.aggregator_batching_window_secs,
    var.reserved_concurrency,
    var.api_rate,
    var.api_burst,
    var.alarm_email,
    var.budget_usd,
  ]
}

run "a_source_has_a_known_kind" {
  command = plan
  variables {
    sources = "bluesky,threads:someone"
  }
  expect_failures = [var.sources]
}

run "a_kind_is_the_whole_scheme" {
  command = plan
  variables {
    sources = "blue"
  }
  expect_failures = [var.sources]
}

run "an_address_is_not_empty" {
  command = plan
  variables {
    sources = "bluesky,"
  }
  expect_failures = [var.sources]
}

run "an_address_has_no_spaces" {
  command = plan
  variables {
    sources = "demo:?seed=7 ,bluesky"
  }
  expect_failures = [var.sources]
}

run "an_address_has_400_characters_at_most" {
  command = plan
  variables {
    sources = format("demo:?seed=%0400d", 7)
  }
  expect_failures = [var.sources]
}

run "a_source_is_listed_once" {
  command = plan
  variables {
    sources = "x:?budget=5/day,bluesky,x:?budget=6/day"
  }
  expect_failures = [var.sources]
}

run "options_make_no_other_source" {
  command = plan
  variables {
    sources = "mastodon:one.example,mastodon://one.example?feed=local"
    secrets = { MASTODON_TOKEN = "none" }
  }
  expect_failures = [var.sources]
}

run "one_mastodon_server_has_the_token" {
  command = plan
  variables {
    sources = "mastodon:one.example,mastodon:two.example"
  }
  expect_failures = [var.sources]
}

run "a_host_has_no_port" {
  command = plan
  variables {
    sources = "mastodon:mastodon.example:8443"
  }
  expect_failures = [var.sources]
}

run "a_host_in_an_option_has_no_port" {
  command = plan
  variables {
    sources = "bluesky:?host=wss://jetstream.example:8443"
  }
  expect_failures = [var.sources]
}

run "a_host_in_an_option_is_encrypted" {
  command = plan
  variables {
    sources = "bluesky:?host=ws://jetstream.example"
  }
  expect_failures = [var.sources]
}

run "a_url_is_encrypted" {
  command = plan
  variables {
    sources = "mastodon:http://mastodon.example"
  }
  expect_failures = [var.sources]
}

run "a_host_is_in_lower_case" {
  command = plan
  variables {
    sources = "mastodon:Mastodon.example"
  }
  expect_failures = [var.sources]
}

run "an_ip_address_is_not_a_host" {
  command = plan
  variables {
    sources = "mastodon:169.254.169.254"
  }
  expect_failures = [var.sources]
}

run "x_needs_a_budget" {
  command = plan
  variables {
    sources = "bluesky,x"
  }
  expect_failures = [var.sources]
}

run "x_needs_a_budget_with_a_period" {
  command = plan
  variables {
    sources = "x:?budget=5"
  }
  expect_failures = [var.sources]
}

run "x_needs_a_budget_beside_other_options" {
  command = plan
  variables {
    sources = "x:?price=0.005&my_budget=5/day"
  }
  expect_failures = [var.sources]
}

run "the_host_of_mastodon_is_a_name" {
  command = plan
  variables {
    sources = "mastodon:xn--80ak6aa92e.social-1.example"
  }
}

run "an_address_may_have_options" {
  command = plan
  variables {
    sources = "demo:?seed=7&backfill=2d,bluesky:?host=wss://jetstream.example/subscribe,mastodon://mastodon.example?feed=local,x:?price=0.005&budget=100%2Fmonth"
  }
}

run "servers_without_tokens_may_be_several" {
  command = plan
  variables {
    sources = "mastodon:one.example,mastodon:two.example"
    secrets = { MASTODON_TOKEN = "none" }
  }
}

run "a_secret_has_a_known_name" {
  command = plan
  variables {
    secrets = { X_TOKEN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf" }
  }
  expect_failures = [var.secrets]
}

run "a_secret_is_no_token" {
  command = plan
  variables {
    secrets = { X_BEARER_TOKEN = "AAAAAAAAAAAAAAAA" }
  }
  expect_failures = [var.secrets]
}

run "a_secret_is_one_secret" {
  command = plan
  variables {
    secrets = { X_BEARER_TOKEN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:*" }
  }
  expect_failures = [var.secrets]
}

run "x_needs_its_secret" {
  command = plan
  variables {
    secrets = { X_BEARER_TOKEN = "none" }
  }
  expect_failures = [var.secrets]
}

run "the_key_of_author_hashes_is_needed" {
  command = plan
  variables {
    secrets = { BIRDSONG_AUTHOR_KEY = "none" }
  }
  expect_failures = [var.secrets]
}

run "a_site_on_aws_needs_the_cdn" {
  command = plan
  variables {
    enable_cdn = false
  }
  expect_failures = [var.enable_cdn]
}

run "latest_is_no_image" {
  command = plan
  variables {
    streamer_image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/birdsong-streamer:latest"
  }
  expect_failures = [var.streamer_image]
}

run "an_image_has_a_tag" {
  command = plan
  variables {
    streamer_image = "registry.example:5000/birdsong-streamer"
  }
  expect_failures = [var.streamer_image]
}

run "an_image_may_have_a_digest" {
  command = plan
  variables {
    streamer_image = "registry.example:5000/birdsong-streamer@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
}
