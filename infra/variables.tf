# Place and name.

variable "name" {
  description = "Prefix of the names of all resources. Two deployments in one account need two names."
  type        = string
  default     = "birdsong"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 20 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen."
  }
}

variable "aws_region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.aws_region))
    error_message = "aws_region must be the name of a region, such as us-east-1."
  }
}

variable "aws_endpoint" {
  description = "URL of an emulator for all services; empty for AWS itself."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(https?://[^/]+)?$", var.aws_endpoint))
    error_message = "aws_endpoint must be empty or a URL without a path, such as http://127.0.0.1:4566."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete anything with `terraform destroy`, and the table, full buckets and used image repositories in any way; keep deleted secrets for a week."
  type        = bool
  default     = true
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for all roles, if the organization demands one; null for none. It must allow what the roles do (infra/README.md)."
  type        = string
  default     = null
  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary))
    error_message = "permissions_boundary must be the ARN of a policy, or null."
  }
}

variable "log_retention_days" {
  description = "Days to keep logs in CloudWatch."
  type        = number
  default     = 30
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400], var.log_retention_days)
    error_message = "log_retention_days must be a number that CloudWatch accepts: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or 400."
  }
}

# Sources and regions.

variable "sources" {
  description = <<-EOT
    Addresses of the sources, separated by commas. The streamer gets them unchanged, as BIRDSONG_SOURCE. Examples:
    bluesky; mastodon:HOST?feed=local; x:?budget=5/day. A comma within an address is written %2C.
    An x address must have a budget in US dollars by day or month, because X charges for each post. The schemes are in sources.json.
  EOT
  type        = string
  default     = "bluesky"
  nullable    = false
  validation {
    condition     = length(var.sources) <= 2000 && can(regex("^[^\\s,]{1,400}(,[^\\s,]{1,400})*$", var.sources))
    error_message = "sources must be addresses separated by single commas, without spaces: at most 400 characters each and 2,000 in all."
  }
  validation {
    condition = alltrue([
      for address in split(",", var.sources) : contains(keys(local.source_kinds), split(":", address)[0])
    ])
    error_message = "sources has an unknown kind of source. An address is one of ${join(", ", keys(local.source_kinds))}, then a colon and the rest if there is more, such as mastodon:HOST or x:?budget=5/day."
  }
  validation {
    # After the scheme: https:// or //, a host, a path, options. The security group lets port 443 out alone.
    condition = alltrue([
      for address in split(",", var.sources) :
      can(regex("^[^:]*(:((https:)?//)?(([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9]))?(/[^?]*)?([?].*)?)?$", address))
      && !can(regex("(http|ws)://|:[0-9]+([/?&]|$)", address))
    ])
    error_message = "sources: a host must be a domain name in lower case, such as mastodon.example, without a port. The streamer can reach port 443 only, so URLs start with https:// or wss://."
  }
  validation {
    condition = length(split(",", var.sources)) == length(distinct([
      for address in split(",", var.sources) : trimsuffix(replace(split("?", split("#", address)[0])[0], "/^([a-z0-9]+):///", "$1:"), ":")
    ]))
    error_message = "sources has the same source twice. Options do not make another source of it."
  }
  validation {
    # They would share one environment variable.
    condition = alltrue([
      for scheme, kind in local.source_kinds :
      kind.secret == null || try(var.secrets[kind.secret], "") == "none"
      || length([for address in split(",", var.sources) : address if split(":", address)[0] == scheme]) <= 1
    ])
    error_message = "sources has two sources that would share one secret, so one server would receive the other's token. Use a second deployment, or set the secret to \"none\" in secrets if neither server needs it."
  }
  validation {
    condition = alltrue([
      for scheme, kind in local.source_kinds :
      !kind.secret_required || try(var.secrets[kind.secret], "") != "none" || !contains([for address in split(",", var.sources) : split(":", address)[0]], scheme)
    ])
    error_message = "sources has a source whose secret is \"none\" in secrets, but it needs one. These can do without: ${join(", ", [for kind in local.source_kinds : kind.secret if kind.secret != null && !kind.secret_required])}."
  }
  validation {
    condition = alltrue([
      for address in split(",", var.sources) :
      can(regex("[?&]budget=[0-9]+([.][0-9]+)?(/|%2F)(day|month)(&|$)", address))
      || !(contains(local.metered_schemes, split(":", address)[0]) || can(regex("[?&]budget=", address)))
    ])
    error_message = "sources: ${join(", ", local.metered_schemes)} charges for each post, so its address must have a budget in US dollars by day or month, such as x:?budget=5/day or x:?budget=100/month."
  }
}

variable "reference" {
  description = <<-EOT
    Counts of X to show beside Birdsong's own: x-counts with a budget in US dollars by day or month, such as x-counts:?every=1h&budget=1/day.
    It needs the secret X_BEARER_TOKEN. Empty for none. The task forgets what it has spent when it is replaced.
  EOT
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.reference == "" || can(regex("^x-counts:[?]([^\\s,]+&)?budget=[0-9]+([.][0-9]+)?(/|%2F)(day|month)(&[^\\s,]+)?$", var.reference)) && length(var.reference) <= 400
    error_message = "reference must be empty or x-counts with a budget by day or month, such as x-counts:?every=1h&budget=1/day."
  }
}

variable "secrets" {
  description = <<-EOT
    Secrets that exist already: name of the environment variable => ARN in Secrets Manager, of this region and encrypted with the default key.
    A secret that a source needs and that is not listed here is created, without a value: NAME/x-bearer-token for X_BEARER_TOKEN,
    NAME/mastodon-token for MASTODON_TOKEN. The task starts when each has a value. Use { MASTODON_TOKEN = "none" } for servers that
    need no token. BIRDSONG_AUTHOR_KEY may be listed too; it is NAME/author-key otherwise. Removing an entry does not copy its value.
    A secret stays when its source goes, with its value; "none" deletes it.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false
  validation {
    condition     = length(setsubtract(keys(var.secrets), concat(["BIRDSONG_AUTHOR_KEY"], [for kind in local.source_kinds : kind.secret if kind.secret != null]))) == 0
    error_message = "secrets has an unknown name. The names are ${join(", ", concat(["BIRDSONG_AUTHOR_KEY"], [for kind in local.source_kinds : kind.secret if kind.secret != null]))}."
  }
  validation {
    # The role reads what is named here, so the ARN is of one secret.
    condition = alltrue([
      for arn in var.secrets :
      arn == "none" || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", arn))
    ])
    error_message = "secrets: a value must be the whole ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX, or \"none\". The secret itself must never be here."
  }
  validation {
    condition     = try(var.secrets["BIRDSONG_AUTHOR_KEY"], "") != "none"
    error_message = "secrets: BIRDSONG_AUTHOR_KEY cannot be \"none\": ids of authors are hashed with it."
  }
}

variable "regions_file" {
  description = "Path of regions.toml."
  type        = string
  default     = "../regions.toml"
  validation {
    condition     = fileexists(var.regions_file)
    error_message = "regions_file: no such file."
  }
}

variable "window_secs" {
  description = "Length of a window in seconds. A store holds windows of one length: another length needs another deployment."
  type        = number
  default     = 300
  validation {
    condition     = var.window_secs >= 60 && var.window_secs <= 3600 && 86400 % var.window_secs == 0
    error_message = "window_secs must be 60 to 3600 and divide a day evenly."
  }
}

# The post log.

variable "stream_mode" {
  description = "ON_DEMAND (shards follow the load), or PROVISIONED (shard_count shards; cheaper below about 1,000 records a second)."
  type        = string
  default     = "PROVISIONED"
  validation {
    condition     = contains(["ON_DEMAND", "PROVISIONED"], var.stream_mode)
    error_message = "stream_mode must be ON_DEMAND or PROVISIONED."
  }
}

variable "shard_count" {
  description = "Shards of a PROVISIONED stream."
  type        = number
  default     = 1
  validation {
    condition     = var.shard_count >= 1 && var.shard_count <= 200 && floor(var.shard_count) == var.shard_count
    error_message = "shard_count must be a whole number from 1 to 200."
  }
}

variable "stream_retention_hours" {
  description = "Hours to keep records in the log, which is how far back `birdsong reprocess` can go."
  type        = number
  default     = 168
  validation {
    condition     = var.stream_retention_hours >= 24 && var.stream_retention_hours <= 8760
    error_message = "stream_retention_hours must be 24 to 8760."
  }
}

variable "archive_days" {
  description = <<-EOT
    Days to keep days of the log in a bucket of their own, counted from when they were written; 0 for no bucket. The streamer writes each day when it
    is over, and so does `birdsong archive write`. S3 deletes older days, and a week later what versioning has of them. Lowering this number deletes days. Setting it to 0 deletes the bucket, which
    deletion_protection refuses unless it is empty.
  EOT
  type        = number
  default     = 0
  validation {
    condition     = var.archive_days >= 0 && var.archive_days <= 36500 && floor(var.archive_days) == var.archive_days
    error_message = "archive_days must be 0, or a whole number of days up to 36500."
  }
}

# The window store.

variable "pitr" {
  description = "Point-in-time recovery of the table."
  type        = bool
  default     = true
}

variable "table_max_read_request_units" {
  description = <<-EOT
    Read request units per second of the table, above which DynamoDB throttles: each one bounds the cost of reads at 0.33 US dollars a
    month. Six regions need at most 30 a minute, for all viewers together, as long as each range is in a cache. Opening 30 days of one
    region that no cache has reads up to 720 roll-ups of up to 2 KB, which is 180 units, once: 500 allow that more than twice a second.
    `birdsong reprocess` reads the keys of a table of 1 GB in 9 minutes at this rate; raise it meanwhile if that is too long.
    -1 is no limit, and null leaves the setting out, for an emulator that forgets it.
  EOT
  type        = number
  default     = 500
  validation {
    condition     = try(var.table_max_read_request_units == -1 || (var.table_max_read_request_units >= 50 && var.table_max_read_request_units <= 40000), var.table_max_read_request_units == null)
    error_message = "table_max_read_request_units must be -1 or 50 to 40000: aggregator and digest need a part of it."
  }
}

variable "table_max_write_request_units" {
  description = <<-EOT
    Write request units per second of the table, above which DynamoDB throttles: each one bounds the cost of writes at 1.64 US dollars a
    month. Six regions write 1.4 windows of up to 2 KB a second (docs/explanation/cost.md), which is 3 units; with as many for counts of
    the newest windows, roll-ups and overviews, 200 is more than 30 times the need. That is for the backlog after an outage, and for 100
    busy lanes. `birdsong reprocess` writes a day of six regions in 20 s at this rate. Viewers cause no writes.
    -1 is no limit, and null leaves the setting out.
  EOT
  type        = number
  default     = 200
  validation {
    condition     = try(var.table_max_write_request_units == -1 || (var.table_max_write_request_units >= 20 && var.table_max_write_request_units <= 40000), var.table_max_write_request_units == null)
    error_message = "table_max_write_request_units must be -1 or 20 to 40000: below 20 the aggregator falls behind."
  }
}

# The functions.

variable "architecture" {
  description = "Processor of the functions and of the streamer: arm64 or x86_64."
  type        = string
  default     = "arm64"
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "aggregator_zip" {
  description = "Zip with the aggregator's `bootstrap`."
  type        = string
  default     = "../target/lambda/aggregator/bootstrap.zip"
  validation {
    condition     = fileexists(var.aggregator_zip)
    error_message = "aggregator_zip: no such file; make build-functions creates it."
  }
}

variable "api_zip" {
  description = "Zip with the api's `bootstrap`."
  type        = string
  default     = "../target/lambda/api/bootstrap.zip"
  validation {
    condition     = fileexists(var.api_zip)
    error_message = "api_zip: no such file; make build-functions creates it."
  }
}

variable "digest_zip" {
  description = "Zip with the digest's `bootstrap`."
  type        = string
  default     = "../target/lambda/digest/bootstrap.zip"
  validation {
    condition     = fileexists(var.digest_zip)
    error_message = "digest_zip: no such file; make build-functions creates it."
  }
}

variable "aggregator_memory_mb" {
  description = "Memory of the aggregator in MB. Its share of a processor grows with it."
  type        = number
  default     = 256
  validation {
    condition     = var.aggregator_memory_mb >= 128 && var.aggregator_memory_mb <= 10240
    error_message = "aggregator_memory_mb must be 128 to 10240."
  }
}

variable "aggregator_batch_size" {
  description = <<-EOT
    Maximum number of records in an invocation. A batch ends at this number, at aggregator_batching_window_secs, or at 6 MB in base64,
    whichever comes first. Each busy lane has a record a second, and a batch writes each of its lanes once. So a small batch size undoes
    the batching window: 100 lanes fill a batch of 100 in one second instead of five, and write five times as often.
    `make load` measures how busy a shard keeps the function (docs/scale.md).
  EOT
  type        = number
  default     = 10000
  validation {
    condition     = var.aggregator_batch_size >= 1 && var.aggregator_batch_size <= 10000
    error_message = "aggregator_batch_size must be 1 to 10000."
  }
}

variable "aggregator_batching_window_secs" {
  description = "Seconds to wait for a full batch. A longer wait saves invocations and writes and delays the dashboard by as much."
  type        = number
  default     = 5
  validation {
    condition     = var.aggregator_batching_window_secs >= 0 && var.aggregator_batching_window_secs <= 300
    error_message = "aggregator_batching_window_secs must be 0 to 300."
  }
  validation {
    condition     = var.aggregator_batching_window_secs >= 1 || var.aggregator_batch_size <= 10
    error_message = "aggregator_batching_window_secs must be at least 1, because aggregator_batch_size is above 10: AWS requires it."
  }
}

variable "aggregator_parallelization_factor" {
  description = <<-EOT
    Batches of one shard that are folded at the same time, 1 to 10. Lambda keeps the order of each partition key, which is a lane, so the
    windows are the same. Raise it when the aggregator is busy most of the time (alarm windows-late) and the shard is not full.
    Each one needs a concurrent invocation, and more of them write the item of the newest windows more often.
  EOT
  type        = number
  default     = 1
  validation {
    condition     = var.aggregator_parallelization_factor >= 1 && var.aggregator_parallelization_factor <= 10 && floor(var.aggregator_parallelization_factor) == var.aggregator_parallelization_factor
    error_message = "aggregator_parallelization_factor must be a whole number from 1 to 10."
  }
}

variable "aggregator_max_retries" {
  description = <<-EOT
    Retries of a failed batch before it goes to the quarantine bucket. -1 retries for as long as the log has the records: nothing in it is
    given up. Another number is for the time in which one record that ends the function is skipped (docs/runbook.md); after that,
    return to -1, because an outage of the table would use up the retries too.
  EOT
  type        = number
  default     = -1
  validation {
    condition     = var.aggregator_max_retries >= -1 && var.aggregator_max_retries <= 10000 && floor(var.aggregator_max_retries) == var.aggregator_max_retries
    error_message = "aggregator_max_retries must be -1, or a whole number from 0 to 10000."
  }
}

variable "aggregator_reserved_concurrency" {
  description = "Concurrent invocations reserved for the aggregator, so that requests to the API cannot starve it, and their limit: at least one per shard and aggregator_parallelization_factor. Null reserves none. AWS leaves at least 100 of an account unreserved, and a new account may have 10 in all, so there a reservation fails: see docs/deploy.md."
  type        = number
  default     = null
  validation {
    condition     = try(var.aggregator_reserved_concurrency >= 1 && floor(var.aggregator_reserved_concurrency) == var.aggregator_reserved_concurrency, var.aggregator_reserved_concurrency == null)
    error_message = "aggregator_reserved_concurrency must be null or a whole number of at least 1: 0 would stop the function."
  }
  validation {
    condition     = try(var.aggregator_reserved_concurrency >= (var.stream_mode == "PROVISIONED" ? var.shard_count : 4) * var.aggregator_parallelization_factor, var.aggregator_reserved_concurrency == null)
    error_message = "aggregator_reserved_concurrency must be at least shard_count times aggregator_parallelization_factor; a new on-demand stream has 4 shards. Otherwise a shard waits for the others."
  }
}

variable "publish_versions" {
  description = "Publish each change of a function as a version, which `make rollback` needs. False is for an emulator whose functions seem to change at each apply."
  type        = bool
  default     = true
  nullable    = false
  validation {
    condition     = var.publish_versions || var.aws_endpoint != ""
    error_message = "publish_versions = false is for emulators only: without versions there is no rollback."
  }
}

variable "keep_rollback" {
  description = "After `make rollback`, keep the versions that it went back to, until there are newer ones. False runs the newest versions again, as `make deploy` does."
  type        = bool
  default     = true
  nullable    = false
}

variable "digest_memory_mb" {
  description = "Memory of the digest in MB. Its share of a processor grows with it."
  type        = number
  default     = 256
  validation {
    condition     = var.digest_memory_mb >= 128 && var.digest_memory_mb <= 10240
    error_message = "digest_memory_mb must be 128 to 10240."
  }
}

variable "digest_timeout_secs" {
  description = "Time limit of a run of the digest in seconds. A run works for up to 15 s and leaves the rest to the next one; the overview that it writes then, and alerts, may last 40 s more with a slow table."
  type        = number
  default     = 60
  validation {
    condition     = var.digest_timeout_secs >= 25 && var.digest_timeout_secs <= 900
    error_message = "digest_timeout_secs must be 25 to 900: a run works for up to 15 s, and alerts last up to 8 s more."
  }
}

variable "digest_reserved_concurrency" {
  description = "Concurrent invocations reserved for the digest, and their limit. A run a minute needs 2. Null reserves none, as in aggregator_reserved_concurrency."
  type        = number
  default     = null
  validation {
    condition     = try(var.digest_reserved_concurrency >= 1 && floor(var.digest_reserved_concurrency) == var.digest_reserved_concurrency, var.digest_reserved_concurrency == null)
    error_message = "digest_reserved_concurrency must be null or a whole number of at least 1: 0 would stop the function."
  }
}

variable "api_memory_mb" {
  description = "Memory of the api in MB. Its share of a processor grows with it."
  type        = number
  default     = 512
  validation {
    condition     = var.api_memory_mb >= 128 && var.api_memory_mb <= 10240
    error_message = "api_memory_mb must be 128 to 10240."
  }
}

variable "api_timeout_secs" {
  description = "Time limit of a request to the API in seconds. API Gateway waits for at most 29."
  type        = number
  default     = 15
  validation {
    condition     = var.api_timeout_secs >= 1 && var.api_timeout_secs <= 29
    error_message = "api_timeout_secs must be 1 to 29: API Gateway does not wait longer."
  }
}

variable "api_reserved_concurrency" {
  description = "Concurrent invocations reserved for the api, and their limit, which bounds what an attack costs: 10 answer about 200 requests per second of 50 ms. Null reserves none, as in aggregator_reserved_concurrency."
  type        = number
  default     = null
  validation {
    condition     = try(var.api_reserved_concurrency >= 1 && floor(var.api_reserved_concurrency) == var.api_reserved_concurrency, var.api_reserved_concurrency == null)
    error_message = "api_reserved_concurrency must be null or a whole number of at least 1: 0 would stop the function."
  }
}

variable "api_requires_key" {
  description = "Make CloudFront the only door of the API: other callers of output api_url get a 403. Without CloudFront (enable_cdn = false) no key is required."
  type        = bool
  default     = true
}

variable "api_rate" {
  description = "Requests per second that reach the api function, for all viewers together. CloudFront answers the others from its caches, or with a stale copy when the rate is exceeded. It bounds what an attack costs (docs/explanation/cost.md)."
  type        = number
  default     = 20
  validation {
    condition     = var.api_rate >= 1 && var.api_rate <= 10000
    error_message = "api_rate must be 1 to 10000."
  }
}

variable "api_burst" {
  description = "Burst of requests that reach the api function before api_rate applies."
  type        = number
  default     = 50
  validation {
    condition     = var.api_burst >= 1 && var.api_burst <= 5000
    error_message = "api_burst must be 1 to 5000."
  }
}

variable "api_access_logs" {
  description = "Log each request to the API: time, method, path, status, bytes and latency. No address, user agent or query is logged."
  type        = bool
  default     = true
}

variable "api_gateway_account_role" {
  description = <<-EOT
    Create the role with which API Gateway writes logs. It is one setting of the account and region, for all APIs: set this to false if the
    account has such a role already (`aws apigateway get-account`), as in a second deployment. Destroying this deployment deletes the role.
  EOT
  type        = bool
  default     = true
}

# The site.

variable "site_dir" {
  description = "Folder of the built dashboard."
  type        = string
  default     = "../frontend/dist"
  validation {
    condition     = fileexists("${var.site_dir}/index.html")
    error_message = "site_dir has no index.html; npm run build in frontend/ creates it."
  }
}

variable "enable_cdn" {
  description = "CloudFront in front of site and API. Only an emulator works without it, by serving the bucket as a website."
  type        = bool
  default     = true
  validation {
    condition     = var.enable_cdn || var.aws_endpoint != ""
    error_message = "enable_cdn = false is for emulators only: on AWS the bucket is private, and nobody could open the site."
  }
}

variable "aliases" {
  description = "Domains of the dashboard, the main one first, such as [\"birds.example.org\"]. They need certificate_arn. Empty for the domain of CloudFront."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = length(var.aliases) <= 20 && alltrue([for alias in var.aliases : can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", alias))])
    error_message = "aliases must be at most 20 domain names in lower case, such as birds.example.org."
  }
  validation {
    condition     = length(var.aliases) == 0 || var.enable_cdn
    error_message = "aliases needs CloudFront: set enable_cdn = true."
  }
}

variable "certificate_arn" {
  description = "Certificate of AWS Certificate Manager for all aliases, in us-east-1, whatever aws_region is."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = can(regex("^(arn:aws[a-z-]*:acm:us-east-1:[0-9]{12}:certificate/[0-9a-f-]+)?$", var.certificate_arn))
    error_message = "certificate_arn must be empty or the ARN of a certificate in us-east-1: CloudFront accepts no other region."
  }
  validation {
    condition     = (var.certificate_arn == "") == (length(var.aliases) == 0)
    error_message = "aliases and certificate_arn belong together: set both, or none."
  }
}

variable "route53_zone_id" {
  description = "Hosted zone of Route 53 that gets the records of all aliases. Empty if the records are made elsewhere: each alias is then a CNAME of the output cdn_domain."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = can(regex("^(Z[0-9A-Z]+)?$", var.route53_zone_id))
    error_message = "route53_zone_id must be empty or the id of a hosted zone, such as Z0123456789ABCDEFGHIJ."
  }
  validation {
    condition     = var.route53_zone_id == "" || length(var.aliases) > 0
    error_message = "route53_zone_id needs aliases."
  }
}

variable "viewer_auth" {
  description = "Who may open the page and the API: none (everybody), basic (a user name and a password of viewer_credentials), or allowed_cidrs (the networks of viewer_cidrs)."
  type        = string
  default     = "none"
  validation {
    condition     = contains(["none", "basic", "allowed_cidrs"], var.viewer_auth)
    error_message = "viewer_auth must be none, basic or allowed_cidrs."
  }
  validation {
    condition     = var.viewer_auth == "none" || var.enable_cdn
    error_message = "viewer_auth needs CloudFront, which checks it: set enable_cdn = true."
  }
  validation {
    condition     = var.viewer_auth == "none" || var.api_requires_key
    error_message = "viewer_auth needs api_requires_key = true: anybody could call the API without CloudFront."
  }
  validation {
    condition     = var.viewer_auth != "basic" || length(var.viewer_credentials) > 0
    error_message = "viewer_auth = \"basic\" needs viewer_credentials, or nobody could open the page."
  }
  validation {
    condition     = var.viewer_auth != "allowed_cidrs" || length(var.viewer_cidrs) > 0
    error_message = "viewer_auth = \"allowed_cidrs\" needs viewer_cidrs, or nobody could open the page."
  }
}

variable "viewer_credentials" {
  description = <<-EOT
    With viewer_auth = "basic": the SHA-256 of each USER:PASSWORD in lower-case hexadecimal, as printed by
    `printf %s 'USER:PASSWORD' | sha256sum`. A hash keeps the password out of the settings and the state, but a short password can be
    guessed from it: use a random one, such as of `openssl rand -base64 24`.
  EOT
  type        = list(string)
  default     = []
  nullable    = false
  sensitive   = true
  validation {
    condition     = length(var.viewer_credentials) <= 50 && alltrue([for hash in var.viewer_credentials : can(regex("^[0-9a-f]{64}$", hash))])
    error_message = "viewer_credentials must be at most 50 SHA-256 hashes of USER:PASSWORD, 64 lower-case hexadecimal digits each. The password itself must never be here."
  }
}

variable "viewer_cidrs" {
  description = "With viewer_auth = \"allowed_cidrs\": the networks that may look, IPv4 and IPv6, such as 203.0.113.0/24 and 2001:db8::/32. A viewer with both kinds of address needs both."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = length(var.viewer_cidrs) <= 100 && alltrue([for cidr in var.viewer_cidrs : can(cidrhost(cidr, 0))])
    error_message = "viewer_cidrs must be at most 100 networks such as 203.0.113.0/24 or 2001:db8::/32."
  }
}

# The streamer.

variable "enable_streamer" {
  description = "Run the streamer on Fargate, with its network and its image repository. Without it, run `birdsong stream --to kinesis` elsewhere."
  type        = bool
  default     = true
}

variable "streamer_image" {
  description = "Image of the streamer, with a tag or digest. Empty keeps the one that runs; before the first one, there is no task."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = var.streamer_image == "" || can(regex("^[^\\s:]+(:[0-9]+/[^\\s:]+)?(:[\\w.-]+|@sha256:[0-9a-f]{64})$", var.streamer_image))
    error_message = "streamer_image must end with a :tag or an @sha256: digest."
  }
  validation {
    condition     = !endswith(var.streamer_image, ":latest")
    error_message = "streamer_image must name one image, which :latest does not: use a unique tag."
  }
}

variable "streamer_running" {
  description = "False stops the task, and keeps its network, image and secrets."
  type        = bool
  default     = true
  nullable    = false
}

variable "streamer_cpu" {
  description = "CPU units of the task; 1024 are one virtual CPU. Fargate has 256, 512, 1024, 2048, 4096, 8192 and 16384."
  type        = number
  default     = 256
  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.streamer_cpu)
    error_message = "streamer_cpu must be 256, 512, 1024, 2048, 4096, 8192 or 16384."
  }
}

variable "streamer_memory_mb" {
  description = "Memory of the task in MB: with 256 CPU units 512, 1024 or 2048; with more units, two to eight times as many, in steps of 1024 (4096 for 8192 units, 8192 for 16384)."
  type        = number
  default     = 512
  validation {
    condition = contains(lookup({
      "256"   = [512, 1024, 2048]
      "512"   = range(1024, 4096 + 1, 1024)
      "1024"  = range(2048, 8192 + 1, 1024)
      "2048"  = range(4096, 16384 + 1, 1024)
      "4096"  = range(8192, 30720 + 1, 1024)
      "8192"  = range(16384, 61440 + 1, 4096)
      "16384" = range(32768, 122880 + 1, 8192)
    }, tostring(var.streamer_cpu), [var.streamer_memory_mb]), var.streamer_memory_mb)
    error_message = "streamer_memory_mb is no size that Fargate has for this streamer_cpu: 256 units have 512, 1024 or 2048 MB; more units have two to eight times as many MB, in steps of 1024 (4096 for 8192 units, 8192 for 16384)."
  }
}

variable "streamer_disk_gb" {
  description = "Disk of the task in GiB. 20 cost nothing extra. The spool has up to 1 GiB for each source."
  type        = number
  default     = 20
  validation {
    condition     = var.streamer_disk_gb >= 20 && var.streamer_disk_gb <= 200 && floor(var.streamer_disk_gb) == var.streamer_disk_gb
    error_message = "streamer_disk_gb must be a whole number from 20 to 200."
  }
}

variable "streamer_spool" {
  description = <<-EOT
    Where posts wait while the log cannot be reached: "task", the task's own disk, which ends with the task; or "efs", a file system
    that the next task finds again.
  EOT
  type        = string
  default     = "task"
  validation {
    condition     = contains(["task", "efs"], var.streamer_spool)
    error_message = "streamer_spool must be task or efs."
  }
}

variable "streamer_public_ip" {
  description = "Give the task a public address, without inbound rules. False only with subnet_ids of subnets that reach the internet through a NAT gateway."
  type        = bool
  default     = true
  validation {
    condition     = var.streamer_public_ip || length(var.subnet_ids) > 0
    error_message = "streamer_public_ip = false needs subnet_ids: the subnets that are created here have no NAT gateway."
  }
}

variable "vpc_id" {
  description = "An existing VPC for the task, with subnet_ids. Empty creates one."
  type        = string
  default     = ""
  nullable    = false
  validation {
    condition     = can(regex("^(vpc-[0-9a-f]+)?$", var.vpc_id))
    error_message = "vpc_id must be empty or the id of a VPC, such as vpc-0123456789abcdef0."
  }
  validation {
    condition     = (var.vpc_id == "") == (length(var.subnet_ids) == 0)
    error_message = "vpc_id and subnet_ids belong together: set both, or none."
  }
}

variable "subnet_ids" {
  description = "Subnets of vpc_id that reach the internet, in different zones. Their routes and access lists are yours."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = length(var.subnet_ids) <= 16 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids must be at most 16 ids such as subnet-0123456789abcdef0."
  }
}

variable "availability_zones" {
  description = "Two zones for the subnets, by name. Empty chooses two that have Fargate. It applies when the subnets are created."
  type        = list(string)
  default     = []
  nullable    = false
  validation {
    condition     = contains([0, 2], length(distinct(var.availability_zones))) && length(var.availability_zones) == length(distinct(var.availability_zones))
    error_message = "availability_zones must be empty or two different zones, such as [\"us-east-1a\", \"us-east-1b\"]."
  }
  validation {
    condition     = length(var.availability_zones) == 0 || length(var.subnet_ids) == 0
    error_message = "availability_zones is for subnets that are created here, not for subnet_ids."
  }
}

# Notifications.

variable "alarm_email" {
  description = "Address for alarms and the budget (AWS sends a confirmation first); empty for none."
  type        = string
  default     = ""
  validation {
    condition     = var.alarm_email == "" || can(regex("^[^@\\s]+@[^@\\s]+$", var.alarm_email))
    error_message = "alarm_email must be an e-mail address, or empty."
  }
}

variable "enable_budget" {
  description = "Create a monthly budget for the whole account, which notifies the alarm topic."
  type        = bool
  default     = true
}

variable "budget_usd" {
  description = "Monthly budget in US dollars, for the whole account. The alarm topic is notified when the forecast exceeds it, and when the amount does. The default is about 1.5 times what `birdsong cost --viewers 1` expects."
  type        = number
  default     = 90
  validation {
    condition     = var.budget_usd > 0
    error_message = "budget_usd must be more than 0."
  }
}

# Alerts.

variable "public_url" {
  description = "Address under which people open the dashboard, for links in alerts. Empty for the address of CloudFront."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(https?://[^?#[:space:]]+)?$", var.public_url))
    error_message = "public_url must be empty or an address without a query, such as https://birds.example.org."
  }
}

variable "alert_email" {
  description = "Address that gets the alerts that have sns = true in the regions file. AWS asks it for a confirmation. Empty for none; others can be subscribed to the output alert_topic."
  type        = string
  default     = ""
}

variable "alert_secrets" {
  description = <<-EOT
    Variables that alerts of the regions file name, such as $ALERT_URL: name => ARN of an existing secret, or "new" to create one
    without a value. The output alert_secrets has their names. The secret itself must never be here. A function
    reads them when it starts: after a change of a value, an apply that changes the function, or some hours, bring it in.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false
  validation {
    condition = alltrue([
      for name, arn in var.alert_secrets :
      can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name))
      && (arn == "new" || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", arn)))
    ])
    error_message = "alert_secrets: a value must be the whole ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME-SUFFIX, or \"new\"."
  }
}

variable "frame_ancestors" {
  description = "Who may show charts in a frame: [\"'none'\"], or \"'self'\" and origins such as \"https://example.org\"."
  type        = list(string)
  default     = ["'none'"]
  nullable    = false
  validation {
    condition = length(var.frame_ancestors) > 0 && alltrue([
      for source in var.frame_ancestors : can(regex("^('none'|'self'|https?://[A-Za-z0-9.:*-]+)$", source))
    ]) && (length(var.frame_ancestors) == 1 || !contains(var.frame_ancestors, "'none'"))
    error_message = "frame_ancestors must be [\"'none'\"], or have \"'self'\" and origins such as \"https://example.org\"."
  }
}
