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
  description = "Refuse to delete the table, full buckets and used image repositories; keep deleted secrets for a week."
  type        = bool
  default     = true
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
      for address in split(",", var.sources) :
      can(regex("[?&]budget=[0-9]+([.][0-9]+)?(/|%2F)(day|month)(&|$)", address))
      || !(contains(local.metered_schemes, split(":", address)[0]) || can(regex("[?&]budget=", address)))
    ])
    error_message = "sources: ${join(", ", local.metered_schemes)} charges for each post, so its address must have a budget in US dollars by day or month, such as x:?budget=5/day or x:?budget=100/month."
  }
}

variable "secrets" {
  description = <<-EOT
    Secrets that exist already: name of the environment variable => ARN in Secrets Manager, of this region and encrypted with the default key.
    A secret that a source needs and that is not listed here is created, without a value: NAME/x-bearer-token for X_BEARER_TOKEN,
    NAME/mastodon-token for MASTODON_TOKEN. The task starts when each has a value. Use { MASTODON_TOKEN = "none" } for servers that
    need no token. BIRDSONG_AUTHOR_KEY may be listed too; it is NAME/author-key otherwise. Removing an entry does not copy its value.
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
    condition     = alltrue([for kind in local.source_kinds : !kind.secret_required || try(var.secrets[kind.secret], "") != "none"]) && try(var.secrets["BIRDSONG_AUTHOR_KEY"], "") != "none"
    error_message = "secrets: only a secret that its source can do without may be \"none\": ${join(", ", [for kind in local.source_kinds : kind.secret if kind.secret != null && !kind.secret_required])}."
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

# The window store.

variable "pitr" {
  description = "Point-in-time recovery of the table."
  type        = bool
  default     = true
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
  description = "Maximum number of records in an invocation. A record has up to 25 KB, and Lambda accepts 6 MB in base64."
  type        = number
  default     = 100
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
}

variable "reserved_concurrency" {
  description = "Maximum number of concurrent invocations of each function; -1 for no reservation. A new account may not have enough to reserve."
  type        = number
  default     = -1
  validation {
    condition     = var.reserved_concurrency == -1 || var.reserved_concurrency >= 1
    error_message = "reserved_concurrency must be -1 or at least 1: 0 would stop the functions."
  }
}

variable "api_rate" {
  description = "Requests per second that the API answers, for all clients together."
  type        = number
  default     = 50
  validation {
    condition     = var.api_rate >= 1 && var.api_rate <= 10000
    error_message = "api_rate must be 1 to 10000."
  }
}

variable "api_burst" {
  description = "Burst of requests that the API answers before api_rate applies."
  type        = number
  default     = 100
  validation {
    condition     = var.api_burst >= 1 && var.api_burst <= 5000
    error_message = "api_burst must be 1 to 5000."
  }
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

# The streamer.

variable "enable_streamer" {
  description = "Run the streamer on Fargate, with its network and its image repository. Without it, run `birdsong stream --to kinesis` elsewhere."
  type        = bool
  default     = true
}

variable "streamer_image" {
  description = "Image of the streamer, with a tag or digest. Leave it empty before the first push to the repository: no task runs then."
  type        = string
  default     = ""
  validation {
    condition     = var.streamer_image == "" || can(regex("^[^\\s:]+(:[0-9]+/[^\\s:]+)?(:[\\w.-]+|@sha256:[0-9a-f]{64})$", var.streamer_image))
    error_message = "streamer_image must end with a :tag or an @sha256: digest."
  }
  validation {
    condition     = !endswith(var.streamer_image, ":latest")
    error_message = "streamer_image must name one image, which :latest does not: use a unique tag."
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
  description = "Monthly budget in US dollars. The alarm topic is notified at 80 % of it, and when the forecast exceeds it."
  type        = number
  default     = 60
  validation {
    condition     = var.budget_usd > 0
    error_message = "budget_usd must be more than 0."
  }
}
