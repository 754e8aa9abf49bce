variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "account_id" {
  description = "Account whose tasks may take the roles."
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
  description = "Name of the bucket for lines of a source that cannot be read."
  type        = string
}

variable "quarantine_bucket_arn" {
  description = "ARN of the bucket for lines of a source that cannot be read."
  type        = string
}

variable "post_source" {
  description = "demo, bluesky, x or mastodon:HOST, or several of them with commas."
  type        = string
}

variable "mastodon_needs_token" {
  description = "The Mastodon server wants a token."
  type        = bool
}

variable "mastodon_feed" {
  description = "public, local, remote, or a #hashtag."
  type        = string
}

variable "reader" {
  description = "What reads the log: any value that is known once the newest version of it is deployed."
  type        = string
}

variable "regions_toml" {
  description = "Text of regions.toml."
  type        = string
}

variable "x_budget" {
  description = "What may be spent at X, such as 5/day; empty for no limit."
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
  description = "Days that logs are kept."
  type        = number
}

variable "deletion_protection" {
  description = "Refuse to delete a used image repository; keep deleted secrets for a week."
  type        = bool
}
