variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "account_id" {
  description = "Account whose schedule may invoke the function."
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

variable "timeout_secs" {
  description = "Time limit of a run in seconds."
  type        = number
}

variable "reserved_concurrency" {
  description = "Concurrent invocations reserved for the function, and their limit; null for no reservation."
  type        = number
}

variable "environment" {
  description = "Environment variables besides the table and the metrics."
  type        = map(string)
}

variable "log_retention_days" {
  description = "Days to keep logs."
  type        = number
}

variable "public_url" {
  description = "Address of the dashboard, for links in alerts."
  type        = string
}

variable "alert_email" {
  description = "Address that is subscribed to the topic of the alerts; empty for none."
  type        = string
}

variable "alert_secrets" {
  description = "Secrets that alerts name: name of the variable => ARN of an existing secret, or \"new\" to create one without a value."
  type        = map(string)
}

variable "deletion_protection" {
  description = "Keep deleted secrets for a week."
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
