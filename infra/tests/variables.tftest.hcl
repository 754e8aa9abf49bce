# Wrong values are refused, and say why.

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
    post_source                     = "bluesky,mastodon"
    mastodon_feed                   = "home"
    x_budget                        = "5"
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
    var.post_source,
    var.mastodon_feed,
    var.x_budget,
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

run "sources_are_named_once" {
  command = plan
  variables {
    post_source = "x,bluesky,x"
  }
  expect_failures = [var.post_source]
}

run "one_mastodon_server_has_the_token" {
  command = plan
  variables {
    post_source = "mastodon:one.example,mastodon:two.example"
  }
  expect_failures = [var.post_source]
}

run "the_host_of_mastodon_is_a_name" {
  command = plan
  variables {
    post_source = "mastodon:xn--80ak6aa92e.social-1.example"
  }
}

run "a_port_is_no_host" {
  command = plan
  variables {
    post_source = "mastodon:mastodon.example:8443"
  }
  expect_failures = [var.post_source]
}

run "an_address_is_no_host" {
  command = plan
  variables {
    post_source = "mastodon:https://mastodon.example"
  }
  expect_failures = [var.post_source]
}

run "capital_letters_are_no_host" {
  command = plan
  variables {
    post_source = "mastodon:Mastodon.example"
  }
  expect_failures = [var.post_source]
}

run "numbers_are_no_host" {
  command = plan
  variables {
    post_source = "mastodon:169.254.169.254"
  }
  expect_failures = [var.post_source]
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
