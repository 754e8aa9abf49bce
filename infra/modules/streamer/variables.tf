variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "account_id" {
  description = "Account whose tasks may assume the roles."
  type        = string
}

variable "aws_region" {
  description = "AWS region."
  type        = string
}

variable "stream" {
  description = "Name of the stream."
  type        = string
}

variable "stream_arn" {
  description = "ARN of the stream."
  type        = string
}

variable "table" {
  description = "Name of the table of windows, which also holds a few settings."
  type        = string
}

variable "table_arn" {
  description = "ARN of the table of windows."
  type        = string
}

variable "quarantine_bucket" {
  description = "Name of the bucket for unreadable lines of sources."
  type        = string
}

variable "quarantine_bucket_arn" {
  description = "ARN of the bucket for unreadable lines of sources."
  type        = string
}

variable "reference" {
  description = "Address of counts to show beside the own ones; empty for none."
  type        = string
  default     = ""
}

variable "sources" {
  description = "Addresses of the sources, separated by commas."
  type        = string
}

variable "secrets" {
  description = "Secrets of the task: name of the environment variable => ARN of an existing secret, or null to create one without a value."
  type        = map(string)
}

variable "reader" {
  description = "Reader of the log: any value that is known only after its newest version is deployed."
  type        = string
}

variable "regions_toml" {
  description = "Text of regions.toml."
  type        = string
}

variable "window_secs" {
  description = "Seconds of a window."
  type        = number
}

variable "image" {
  description = "Image with a tag or digest; empty to run no task."
  type        = string
}

variable "architecture" {
  description = "arm64 or x86_64."
  type        = string
}

variable "log_retention_days" {
  description = "Days to keep logs."
  type        = number
}

variable "deletion_protection" {
  description = "Refuse to delete a used image repository; keep deleted secrets for a week."
  type        = bool
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of the roles; null for none."
  type        = string
  default     = null
}
