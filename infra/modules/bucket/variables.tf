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

variable "deletion_protection" {
  description = "Refuse to delete the bucket unless it is empty."
  type        = bool
}
