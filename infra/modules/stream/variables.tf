variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "mode" {
  description = "ON_DEMAND or PROVISIONED."
  type        = string
}

variable "shard_count" {
  description = "Shards of a PROVISIONED stream."
  type        = number
}

variable "retention_hours" {
  description = "Hours to keep records."
  type        = number
}
