# The addresses in var.sources, as far as Terraform needs to read them. The streamer parses the rest.

locals {
  # Kinds of sources by scheme. A test of the streamer keeps the file equal to the program's own table.
  source_kinds = { for kind in jsondecode(file("${path.module}/sources.json")) : kind.scheme => kind }

  # Schemes of networks that charge for each post: their addresses must have a budget.
  metered_schemes = ["x"]

  addresses = split(",", var.sources)
  schemes   = [for address in local.addresses : regex("^[a-z0-9]*", address)]

  # The name of each source in metrics, with its budget (null without one). A name is the address without options:
  # x for x:?budget=5/day, mastodon:HOST for mastodon://HOST?feed=local.
  sources = {
    for address in local.addresses :
    trimsuffix(replace(split("?", split("#", address)[0])[0], "/^([a-z0-9]+):///", "$1:"), ":") =>
    try(replace(regex("[?&]budget=([0-9.]+(?:/|%2F)(?:day|month))(?:&|$)", address)[0], "%2F", "/"), null)
  }

  # The secrets that the task needs, by environment variable: the ARN of an existing one, or null for one to create.
  secrets = {
    for name in toset(concat(
      ["BIRDSONG_AUTHOR_KEY"],
      [for scheme, kind in local.source_kinds : kind.secret if kind.secret != null && contains(local.schemes, scheme)],
      var.reference == "" ? [] : [for scheme in local.metered_schemes : local.source_kinds[scheme].secret],
    )) : name => try(var.secrets[name], null) if try(var.secrets[name], "") != "none"
  }

  # The secrets to create. One that a source once needed stays when the source goes, with its value, because its name could not be
  # used again for a week. "none" deletes one that no source needs.
  created_secrets = !var.enable_streamer ? [] : distinct(concat(
    [for name, arn in local.secrets : name if arn == null],
    [for name in try(local.remembered.secrets, []) : name if try(var.secrets[name], "") != "none"],
  ))
}
