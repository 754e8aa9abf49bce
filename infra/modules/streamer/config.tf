# What the task reads when it starts: regions, keys and tokens.

locals {
  # A parameter without a monthly price has 4 KB.
  regions_fit = length(base64encode(var.regions_toml)) / 4 * 3 <= 4096
}

resource "aws_ssm_parameter" "regions" {
  #checkov:skip=CKV2_AWS_34:The regions are public: the API lists them.
  count = local.regions_fit ? 1 : 0

  name        = "/${var.name}/regions.toml"
  description = "Regions of Birdsong, from regions.toml"
  type        = "String"
  value       = var.regions_toml
}

# It can be deleted when the regions fit into the parameter again: they are in regions.toml.
module "regions" {
  source = "../bucket"
  count  = local.regions_fit ? 0 : 1

  bucket              = "${var.name}-regions-${var.account_id}"
  deletion_protection = false
}

resource "aws_s3_object" "regions" {
  count = local.regions_fit ? 0 : 1

  bucket       = module.regions[0].name
  key          = "regions.toml"
  content      = var.regions_toml
  content_type = "application/toml"
}

# A person or a script sets the values, once, so no state file has them.
resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV_AWS_149:The AWS managed key encrypts at no cost; readers are limited by their roles.
  #checkov:skip=CKV2_AWS_57:Networks issue the tokens, and another key makes other hashes of the same authors: AWS can rotate neither.
  for_each = toset(var.created_secrets)

  name                    = "${var.name}/${replace(lower(trimprefix(each.key, "BIRDSONG_")), "_", "-")}"
  description             = "${each.key} of the streamer"
  recovery_window_in_days = var.deletion_protection ? 7 : 0
}

locals {
  secret_arns = { for name, arn in var.secrets : name => arn == null ? aws_secretsmanager_secret.this[name].arn : arn }
}

# Older deployments have a resource for each secret. They keep their secrets and the values.
moved {
  from = aws_secretsmanager_secret.author_key
  to   = aws_secretsmanager_secret.this["BIRDSONG_AUTHOR_KEY"]
}

moved {
  from = aws_secretsmanager_secret.x_token[0]
  to   = aws_secretsmanager_secret.this["X_BEARER_TOKEN"]
}

moved {
  from = aws_secretsmanager_secret.mastodon_token[0]
  to   = aws_secretsmanager_secret.this["MASTODON_TOKEN"]
}
