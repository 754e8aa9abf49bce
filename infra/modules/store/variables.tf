variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "pitr" {
  description = "Point-in-time recovery."
  type        = bool
}

variable "deletion_protection" {
  description = "Refuse to delete the table."
  type        = bool
}

variable "max_read_request_units" {
  description = "Maximum read request units per second; -1 for no limit, null not to set it."
  type        = number
}

variable "max_write_request_units" {
  description = "Maximum write request units per second; -1 for no limit, null not to set it."
  type        = number
}
