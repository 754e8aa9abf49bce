variable "bucket" {
  description = "Name of the bucket."
  type        = string
}

variable "statements" {
  description = "Statements of the bucket's policy besides the one that denies plain HTTP."
  type        = list(any)
  default     = []
}

variable "expire_days" {
  description = "Days after which objects are deleted; null to keep them."
  type        = number
  default     = null
}

variable "expire_days_by_prefix" {
  description = "Days after which objects whose keys start with these prefixes are deleted."
  type        = map(number)
  default     = {}
}

variable "deletion_protection" {
  description = "Refuse to delete the bucket unless it is empty."
  type        = bool
}
