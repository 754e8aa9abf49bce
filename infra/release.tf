# The release: the versions of the functions and the image of the streamer that run. Each apply writes it, and `make rollback`
# writes an earlier one, so the next apply keeps what runs.

# By path, because there is no parameter before the first apply.
data "aws_ssm_parameters_by_path" "release" {
  path = "/${var.name}/deployed"
}

locals {
  # A damaged parameter is an error: without what it says, an apply would delete the service.
  releases   = nonsensitive(data.aws_ssm_parameters_by_path.release.values)
  remembered = jsondecode(length(local.releases) == 0 ? "{}" : local.releases[0])

  # Empty: what runs, or nothing before there is an image.
  streamer_image = !var.enable_streamer ? "" : var.streamer_image != "" ? var.streamer_image : try(local.remembered.image, "")

  # Functions by the version that was the newest one when `make rollback` went back from it.
  held = var.keep_rollback ? try(local.remembered.held, {}) : {}
  rollbacks = {
    for name in ["aggregator", "api", "digest"] :
    name => { from = try(local.held[name], ""), to = try(local.remembered[name], "") }
  }

  newest_versions = {
    aggregator = module.aggregator.newest_version
    api        = module.api.newest_version
    digest     = module.digest.newest_version
  }
}

resource "aws_ssm_parameter" "release" {
  #checkov:skip=CKV2_AWS_34:Versions and the name of an image are no secrets.
  name        = "/${var.name}/deployed/release"
  description = "What runs: versions of the functions, image of the streamer. Its history is that of the deployments"
  type        = "String"
  value = jsonencode({
    aggregator      = module.aggregator.version
    api             = module.api.version
    digest          = module.digest.version
    image           = local.streamer_image
    task_definition = try(module.streamer[0].task_definition, null)
    secrets         = sort(local.created_secrets)
    held            = { for name, version in local.held : name => version if version == local.newest_versions[name] }
  })
}
