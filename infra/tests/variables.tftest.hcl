# Wrong values are rejected.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  aggregator_zip = "tests/fixtures/function.zip"
  api_zip        = "tests/fixtures/function.zip"
  digest_zip     = "tests/fixtures/function.zip"
  site_dir       = "tests/fixtures/site"
}

run "large_batches_need_a_batching_window" {
  command = plan
  variables {
    aggregator_batching_window_secs = 0
  }
  expect_failures = [var.aggregator_batching_window_secs]
}

run "each_shard_and_batch_needs_an_invocation" {
  command = plan
  variables {
    shard_count                       = 2
    aggregator_parallelization_factor = 3
    aggregator_reserved_concurrency   = 5
  }
  expect_failures = [var.aggregator_reserved_concurrency]
}

# Validations that look at other variables are skipped when those are wrong.
run "numbers_that_depend_on_others" {
  command = plan
  variables {
    aggregator_batching_window_secs = 301
    aggregator_reserved_concurrency = 0
  }
  expect_failures = [var.aggregator_batching_window_secs, var.aggregator_reserved_concurrency]
}

run "names_and_numbers" {
  command = plan
  variables {
    name                              = "Birdsong_"
    aws_region                        = "Montréal"
    aws_endpoint                      = "127.0.0.1:4566"
    sources                           = "bluesky, demo"
    window_secs                       = 7000
    stream_mode                       = "on-demand"
    shard_count                       = 0.5
    stream_retention_hours            = 12
    log_retention_days                = 31
    architecture                      = "aarch64"
    aggregator_memory_mb              = 64
    aggregator_batch_size             = 0
    aggregator_parallelization_factor = 11
    aggregator_max_retries            = -2
    permissions_boundary              = "limits"
    digest_reserved_concurrency       = 0.5
    api_reserved_concurrency          = -1
    digest_memory_mb                  = 64
    digest_timeout_secs               = 20
    api_memory_mb                     = 64
    api_timeout_secs                  = 30
    api_rate                          = 0
    api_burst                         = 0
    table_max_read_request_units      = 0
    table_max_write_request_units     = 0
    viewer_credentials                = ["ann:correct horse"]
    viewer_cidrs                      = ["203.0.113.7"]
    alarm_email                       = "nobody"
    budget_usd                        = 0
    streamer_cpu                      = 300
    streamer_disk_gb                  = 10
    streamer_spool                    = "nfs"
    availability_zones                = ["us-east-1a"]
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
    var.aggregator_parallelization_factor,
    var.aggregator_max_retries,
    var.permissions_boundary,
    var.digest_reserved_concurrency,
    var.api_reserved_concurrency,
    var.digest_memory_mb,
    var.digest_timeout_secs,
    var.api_memory_mb,
    var.api_timeout_secs,
    var.api_rate,
    var.api_burst,
    var.table_max_read_request_units,
    var.table_max_write_request_units,
    var.viewer_credentials,
    var.viewer_cidrs,
    var.alarm_email,
    var.budget_usd,
    var.streamer_cpu,
    var.streamer_disk_gb,
    var.streamer_spool,
    var.availability_zones,
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

run "counts_need_a_budget" {
  command = plan
  variables {
    reference = "x-counts:?every=1h"
  }
  expect_failures = [var.reference]
}

run "counts_are_of_x" {
  command = plan
  variables {
    reference = "bluesky:?budget=1/day"
  }
  expect_failures = [var.reference]
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
    sources = "x:?budget=5/day"
    secrets = { X_BEARER_TOKEN = "none" }
  }
  expect_failures = [var.sources]
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

run "viewers_have_a_known_kind" {
  command = plan
  variables {
    viewer_auth = "token"
  }
  expect_failures = [var.viewer_auth]
}

run "a_password_needs_credentials" {
  command = plan
  variables {
    viewer_auth = "basic"
  }
  expect_failures = [var.viewer_auth]
}

run "networks_need_a_list" {
  command = plan
  variables {
    viewer_auth = "allowed_cidrs"
  }
  expect_failures = [var.viewer_auth]
}

run "a_password_needs_cloudfront" {
  command = plan
  variables {
    aws_endpoint       = "http://127.0.0.1:4599"
    enable_cdn         = false
    viewer_auth        = "basic"
    viewer_credentials = ["d74ff0ee8da3b9806b18c877dbf29bbde50b5bd8e4dad7a3a725000feb82e8f1"]
  }
  expect_failures = [var.viewer_auth]
}

run "a_password_needs_a_closed_api" {
  command = plan
  variables {
    api_requires_key   = false
    viewer_auth        = "basic"
    viewer_credentials = ["d74ff0ee8da3b9806b18c877dbf29bbde50b5bd8e4dad7a3a725000feb82e8f1"]
  }
  expect_failures = [var.viewer_auth]
}

run "networks_are_of_both_kinds" {
  command = plan
  variables {
    viewer_auth  = "allowed_cidrs"
    viewer_cidrs = ["203.0.113.0/24", "2001:db8::/32", "::/0"]
  }
}

run "no_caps_and_no_reservations" {
  command = plan
  variables {
    table_max_read_request_units    = -1
    table_max_write_request_units   = -1
    aggregator_reserved_concurrency = null
    digest_reserved_concurrency     = null
    api_reserved_concurrency        = null
  }
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

run "fargate_has_some_sizes_only" {
  command = plan
  variables {
    streamer_cpu       = 512
    streamer_memory_mb = 512
  }
  expect_failures = [var.streamer_memory_mb]
}

run "a_larger_task" {
  command = plan
  variables {
    streamer_cpu       = 8192
    streamer_memory_mb = 20480
    streamer_disk_gb   = 200
    streamer_spool     = "efs"
  }
}

run "an_existing_network_has_subnets" {
  command = plan
  variables {
    vpc_id = "vpc-0123456789abcdef0"
  }
  expect_failures = [var.vpc_id]
}

run "subnets_are_ids" {
  command = plan
  variables {
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = ["10.0.0.0/24"]
  }
  expect_failures = [var.subnet_ids]
}

run "a_task_without_a_public_address_needs_a_network" {
  command = plan
  variables {
    streamer_public_ip = false
  }
  expect_failures = [var.streamer_public_ip]
}

run "zones_are_for_new_subnets" {
  command = plan
  variables {
    vpc_id             = "vpc-0123456789abcdef0"
    subnet_ids         = ["subnet-0123456789abcdef0"]
    availability_zones = ["us-east-1a", "us-east-1b"]
  }
  expect_failures = [var.availability_zones]
}

run "cloudfront_accepts_certificates_of_one_region" {
  command = plan
  variables {
    aliases         = ["birds.example.org"]
    certificate_arn = "arn:aws:acm:eu-west-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
  }
  expect_failures = [var.certificate_arn]
}

run "a_deployment_has_versions" {
  command = plan
  variables {
    publish_versions = false
  }
  expect_failures = [var.publish_versions]
}

run "a_domain_needs_cloudfront" {
  command = plan
  variables {
    aws_endpoint    = "http://127.0.0.1:4599"
    enable_cdn      = false
    aliases         = ["birds.example.org"]
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
  }
  expect_failures = [var.aliases]
}

run "a_domain_is_in_lower_case" {
  command = plan
  variables {
    aliases         = ["Birds.example.org"]
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
  }
  expect_failures = [var.aliases]
}

run "a_domain_needs_a_certificate" {
  command = plan
  variables {
    aliases = ["birds.example.org"]
  }
  expect_failures = [var.certificate_arn]
}

run "a_zone_is_an_id" {
  command = plan
  variables {
    aliases         = ["birds.example.org"]
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
    route53_zone_id = "example.org"
  }
  expect_failures = [var.route53_zone_id]
}
