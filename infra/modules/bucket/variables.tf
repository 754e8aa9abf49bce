variable "bucket" {
  description = "Name of the bucket."
  type        = string
}

variable "statements" {
  description = "Statements of the bucket's policy besides the one that refuses plain HTTP."
  type        = list(any)
  default     = []
}

variable "expire_days" {
  description = "Days after which objects are deleted; null to keep them."
  type        = number
  default     = null
}

variable "deletion_protection" {
  description = "Refuse to delete the bucket while there are objects in it."
  type        = bool
}
