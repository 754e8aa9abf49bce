variable "name" {
  description = "Prefix of names."
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
  description = "Time limit of a request in seconds."
  type        = number
}

variable "reserved_concurrency" {
  description = "Concurrent invocations reserved for the function, and their limit; null for no reservation."
  type        = number
}

variable "require_key" {
  description = "Reject requests without the API key, which CloudFront sends."
  type        = bool
}

variable "rate" {
  description = "Requests per second, of all clients together."
  type        = number
}

variable "burst" {
  description = "Burst of requests before the rate applies."
  type        = number
}

variable "environment" {
  description = "Environment variables besides the table."
  type        = map(string)
}

variable "log_retention_days" {
  description = "Days to keep logs."
  type        = number
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

variable "access_logs" {
  description = "Log each request, without addresses."
  type        = bool
  default     = true
}

variable "account_role" {
  description = "Create the role with which API Gateway writes the logs of all APIs of the account and region."
  type        = bool
  default     = true
}
