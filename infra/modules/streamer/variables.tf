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

variable "archive_bucket" {
  description = "Name of the bucket for days of the log; null for no archive."
  type        = string
  default     = null
}

variable "archive_bucket_arn" {
  description = "ARN of the bucket for days of the log; null for no archive."
  type        = string
  default     = null
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

variable "created_secrets" {
  description = "Names of the environment variables whose secrets are created here, without values: those of `secrets`, and those of former sources."
  type        = list(string)
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
  description = "Image with a tag or digest. Without one there is no task definition and no service."
  type        = string
}

variable "running" {
  description = "Run the task."
  type        = bool
  default     = true
}

variable "cpu" {
  description = "CPU units of the task."
  type        = number
  default     = 256
}

variable "memory_mb" {
  description = "Memory of the task in MB."
  type        = number
  default     = 512
}

variable "disk_gb" {
  description = "Disk of the task in GiB."
  type        = number
  default     = 20
}

variable "spool" {
  description = "Where posts wait: task or efs."
  type        = string
  default     = "task"
}

variable "vpc_id" {
  description = "Existing VPC; empty to create one."
  type        = string
  default     = ""
}

variable "subnet_ids" {
  description = "Existing subnets, in different zones; empty to create two."
  type        = list(string)
  default     = []
}

variable "availability_zones" {
  description = "Zones of the subnets that are created; empty for two that have Fargate."
  type        = list(string)
  default     = []
}

variable "public_ip" {
  description = "Give the task a public address."
  type        = bool
  default     = true
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
