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

variable "reserved_concurrency" {
  description = "Most invocations at once; -1 for no limit."
  type        = number
}

variable "rate" {
  description = "Requests a second, of all callers together."
  type        = number
}

variable "burst" {
  description = "Requests at once before the rate counts."
  type        = number
}

variable "environment" {
  description = "Environment besides the table."
  type        = map(string)
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}
