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
