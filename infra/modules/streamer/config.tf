# What the task is told at its start: regions, keys and tokens.

resource "aws_ssm_parameter" "regions" {
  #checkov:skip=CKV2_AWS_34:The regions are public: the API lists them.
  name        = "/${var.name}/regions.toml"
  description = "What Birdsong watches; made from regions.toml"
  type        = "String"
  tier        = "Intelligent-Tiering"
  value       = var.regions_toml

  lifecycle {
    precondition {
      condition     = length(base64encode(var.regions_toml)) / 4 * 3 <= 8192
      error_message = "regions_file has more than 8 KB, which a parameter cannot hold: take fewer regions."
    }
  }
}

# Values are put by hand or by a script, once, so that they are in no state file.
resource "aws_secretsmanager_secret" "author_key" {
  #checkov:skip=CKV_AWS_149:The AWS managed key encrypts at no cost; readers are limited by their roles.
  #checkov:skip=CKV2_AWS_57:A new key makes other hashes of the same authors, so it is not rotated by itself.
  name                    = "${var.name}/author-key"
  description             = "Key of author hashes, 32 hex digits"
  recovery_window_in_days = var.deletion_protection ? 7 : 0
}

resource "aws_secretsmanager_secret" "x_token" {
  #checkov:skip=CKV_AWS_149:The AWS managed key encrypts at no cost; readers are limited by their roles.
  #checkov:skip=CKV2_AWS_57:X gives the token; AWS cannot rotate it.
  count = contains(split(",", var.post_source), "x") ? 1 : 0

  name                    = "${var.name}/x-bearer-token"
  description             = "Bearer token of the X API"
  recovery_window_in_days = var.deletion_protection ? 7 : 0
}

resource "aws_secretsmanager_secret" "mastodon_token" {
  #checkov:skip=CKV_AWS_149:The AWS managed key encrypts at no cost; readers are limited by their roles.
  #checkov:skip=CKV2_AWS_57:The Mastodon server gives the token; AWS cannot rotate it.
  count = local.has_mastodon && var.mastodon_needs_token ? 1 : 0

  name                    = "${var.name}/mastodon-token"
  description             = "Token of a user of the Mastodon server"
  recovery_window_in_days = var.deletion_protection ? 7 : 0
}

locals {
  has_mastodon = strcontains(var.post_source, "mastodon:")
  secrets = merge(
    {
      BIRDSONG_AUTHOR_KEY = aws_secretsmanager_secret.author_key.arn
    },
    { for secret in aws_secretsmanager_secret.x_token : "X_BEARER_TOKEN" => secret.arn },
    { for secret in aws_secretsmanager_secret.mastodon_token : "MASTODON_TOKEN" => secret.arn },
  )
}
