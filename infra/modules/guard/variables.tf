variable "name" {
  description = "Name of the deployment. The environment variable BIRDSONG_DESTROY with this name overrides the protection."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to be destroyed."
  type        = bool
}

variable "protects" {
  description = "ARNs of what holds data. A change of one of them, which means that it is replaced, is refused too."
  type        = list(string)
}
