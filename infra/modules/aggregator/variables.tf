variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "account_id" {
  description = "Account that owns the quarantine bucket."
  type        = string
}

variable "stream_arn" {
  description = "ARN of the stream to read."
  type        = string
}

variable "table" {
  description = "Name of the table of windows."
  type        = string
}

variable "table_arn" {
  description = "ARN of the table of windows."
  type        = string
}

variable "zip" {
  description = "Zip with the function's `bootstrap`."
  type        = string
}

variable "architecture" {
  description = "arm64 or x86_64."
  type        = string
}

variable "memory_mb" {
  description = "Memory in MB."
  type        = number
}

variable "batch_size" {
  description = "Maximum number of records in an invocation."
  type        = number
}

variable "batching_window_secs" {
  description = "Seconds to wait for a full batch."
  type        = number
}

variable "parallelization" {
  description = "Batches of one shard that are folded at the same time, 1 to 10."
  type        = number
}

variable "max_retries" {
  description = "Retries of a failed batch before it goes to the bucket; -1 for no limit."
  type        = number
}

variable "reserved_concurrency" {
  description = "Concurrent invocations reserved for the function, and their limit; null for no reservation."
  type        = number
}

variable "environment" {
  description = "Environment variables besides table and bucket."
  type        = map(string)
}

variable "log_retention_days" {
  description = "Days to keep logs."
  type        = number
}

variable "deletion_protection" {
  description = "Refuse to delete the quarantine bucket unless it is empty."
  type        = bool
}

variable "publish_versions" {
  description = "Publish each change as a version; otherwise the newest code always runs."
  type        = bool
  default     = true
}

variable "rollback" {
  description = "A rollback: while the newest version of the function is `from`, the version `to` runs."
  type        = object({ from = string, to = string })
  default     = { from = "", to = "" }
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of the roles; null for none."
  type        = string
  default     = null
}
