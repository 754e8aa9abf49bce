# sources -> streamer -> stream -> aggregator -> store -> api -> site
# Each module has a Lambda function, a service or a store, with the least role that it needs.

data "aws_caller_identity" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  # Functions in an emulator call the emulator itself.
  function_environment = merge(
    { RUST_LOG = "info" },
    local.is_emulated ? { AWS_ENDPOINT_URL = var.aws_endpoint } : {},
  )
  # Without CloudFront nobody could send it.
  require_api_key = var.api_requires_key && var.enable_cdn
}

module "stream" {
  source = "./modules/stream"

  name            = var.name
  mode            = var.stream_mode
  shard_count     = var.shard_count
  retention_hours = var.stream_retention_hours
}

# Days of the log for longer than the log keeps them (docs/how-to/archive-the-log.md). A day loses its manifest first, so that a day with a
# manifest has all its files.
module "archive" {
  source = "./modules/bucket"
  count  = var.archive_days > 0 ? 1 : 0

  bucket                = "${var.name}-archive-${local.account_id}"
  expire_days_by_prefix = { "manifests/" = var.archive_days, "region=" = var.archive_days + 1 }
  deletion_protection   = var.deletion_protection
}

module "store" {
  source = "./modules/store"

  name                    = var.name
  pitr                    = var.pitr
  max_read_request_units  = var.table_max_read_request_units
  max_write_request_units = var.table_max_write_request_units
  deletion_protection     = var.deletion_protection
}

module "aggregator" {
  source = "./modules/aggregator"

  name                 = var.name
  account_id           = local.account_id
  stream_arn           = module.stream.arn
  table                = module.store.table
  table_arn            = module.store.arn
  zip                  = var.aggregator_zip
  architecture         = var.architecture
  memory_mb            = var.aggregator_memory_mb
  batch_size           = var.aggregator_batch_size
  batching_window_secs = var.aggregator_batching_window_secs
  parallelization      = var.aggregator_parallelization_factor
  max_retries          = var.aggregator_max_retries
  reserved_concurrency = var.aggregator_reserved_concurrency
  rollback             = local.rollbacks["aggregator"]
  publish_versions     = var.publish_versions
  environment          = merge(local.function_environment, { BIRDSONG_WINDOW_SECS = tostring(var.window_secs) })
  log_retention_days   = var.log_retention_days
  deletion_protection  = var.deletion_protection
  permissions_boundary = var.permissions_boundary
}

module "digest" {
  source = "./modules/digest"

  name                 = var.name
  account_id           = local.account_id
  table                = module.store.table
  table_arn            = module.store.arn
  zip                  = var.digest_zip
  architecture         = var.architecture
  memory_mb            = var.digest_memory_mb
  timeout_secs         = var.digest_timeout_secs
  reserved_concurrency = var.digest_reserved_concurrency
  rollback             = local.rollbacks["digest"]
  publish_versions     = var.publish_versions
  environment          = merge(local.function_environment, { BIRDSONG_WINDOW_SECS = tostring(var.window_secs) })
  log_retention_days   = var.log_retention_days
  public_url           = var.public_url == "" ? local.site_url : var.public_url
  alert_email          = var.alert_email
  alert_secrets        = var.alert_secrets
  deletion_protection  = var.deletion_protection
  permissions_boundary = var.permissions_boundary
}

module "api" {
  source = "./modules/api"

  name                 = var.name
  table                = module.store.table
  table_arn            = module.store.arn
  zip                  = var.api_zip
  architecture         = var.architecture
  memory_mb            = var.api_memory_mb
  timeout_secs         = var.api_timeout_secs
  reserved_concurrency = var.api_reserved_concurrency
  rollback             = local.rollbacks["api"]
  publish_versions     = var.publish_versions
  require_key          = local.require_api_key
  rate                 = var.api_rate
  burst                = var.api_burst
  environment          = local.function_environment
  log_retention_days   = var.log_retention_days
  permissions_boundary = var.permissions_boundary
  access_logs          = var.api_access_logs
  account_role         = var.api_gateway_account_role
}

locals {
  # Emulators serve REST APIs by path.
  api_url = local.is_emulated ? "${var.aws_endpoint}/_aws/execute-api/${module.api.id}/${module.api.stage}" : module.api.url
}

module "site" {
  source = "./modules/site"

  name                = var.name
  account_id          = local.account_id
  dir                 = var.site_dir
  enable_cdn          = var.enable_cdn
  api_url             = local.api_url
  api_domain          = module.api.domain
  api_stage           = module.api.stage
  send_api_key        = local.require_api_key
  api_key             = module.api.key
  viewer_auth         = var.viewer_auth
  frame_ancestors     = var.frame_ancestors
  aliases             = var.aliases
  certificate_arn     = var.certificate_arn
  route53_zone_id     = var.route53_zone_id
  viewer_credentials  = var.viewer_credentials
  viewer_cidrs        = var.viewer_cidrs
  deletion_protection = var.deletion_protection
}

locals {
  # On an emulator the host may need a mapping to its address.
  site_url = (
    length(var.aliases) > 0 ? "https://${var.aliases[0]}" :
    !local.is_emulated ? "https://${module.site.domain}" :
    var.enable_cdn ? replace(var.aws_endpoint, "/[^/:]+(:[0-9]+)?$/", "${split(".", module.site.domain)[0]}.cloudfront.localhost$1") :
    replace(var.aws_endpoint, "/[^/:]+(:[0-9]+)?$/", "${module.site.bucket}.s3-website.localhost.localstack.cloud$1")
  )
}

module "streamer" {
  source = "./modules/streamer"
  count  = var.enable_streamer ? 1 : 0

  name                  = var.name
  account_id            = local.account_id
  aws_region            = var.aws_region
  stream                = module.stream.name
  stream_arn            = module.stream.arn
  table                 = module.store.table
  table_arn             = module.store.arn
  quarantine_bucket     = module.aggregator.quarantine_bucket
  quarantine_bucket_arn = module.aggregator.quarantine_bucket_arn
  archive_bucket        = one(module.archive[*].name)
  archive_bucket_arn    = one(module.archive[*].arn)
  reader                = module.aggregator.event_source_mapping
  sources               = var.sources
  reference             = var.reference
  secrets               = local.secrets
  created_secrets       = local.created_secrets
  regions_toml          = file(var.regions_file)
  window_secs           = var.window_secs
  image                 = local.streamer_image
  running               = var.streamer_running
  architecture          = var.architecture
  cpu                   = var.streamer_cpu
  memory_mb             = var.streamer_memory_mb
  disk_gb               = var.streamer_disk_gb
  spool                 = var.streamer_spool
  vpc_id                = var.vpc_id
  subnet_ids            = var.subnet_ids
  availability_zones    = var.availability_zones
  public_ip             = var.streamer_public_ip
  log_retention_days    = var.log_retention_days
  deletion_protection   = var.deletion_protection
  permissions_boundary  = var.permissions_boundary
}

module "observability" {
  source = "./modules/observability"

  name                 = var.name
  account_id           = local.account_id
  aws_region           = var.aws_region
  stream               = module.stream.name
  table                = module.store.table
  aggregator           = module.aggregator.function
  event_source_mapping = module.aggregator.event_source_mapping
  digest               = module.digest.function
  schedule_group       = module.digest.schedule_group
  streamer             = one([for streamer in module.streamer[*] : { cluster = streamer.cluster, service = "streamer" }])
  api_function         = module.api.function
  rest_api             = module.api.name
  api_stage            = module.api.stage
  sources              = var.enable_streamer ? local.sources : {}
  email                = var.alarm_email
  enable_budget        = var.enable_budget
  budget_usd           = var.budget_usd
}

# Destroyed first, or not at all: it depends on everything.
module "guard" {
  source = "./modules/guard"

  name                = var.name
  deletion_protection = var.deletion_protection
  protects            = [module.stream.arn, module.store.arn]

  depends_on = [
    aws_ssm_parameter.release,
    module.aggregator,
    module.api,
    module.archive,
    module.digest,
    module.observability,
    module.site,
    module.store,
    module.stream,
    module.streamer,
  ]
}
