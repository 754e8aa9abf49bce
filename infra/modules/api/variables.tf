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

variable "rollback" {
  description = "A rollback: while the newest version of the function is `from`, the version `to` runs."
  type        = object({ from = string, to = string })
  default     = { from = "", to = "" }
}
