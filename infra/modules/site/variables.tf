variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "account_id" {
  description = "Account; its id makes the bucket's name unique."
  type        = string
}

variable "dir" {
  description = "Folder of the built dashboard."
  type        = string
}

variable "enable_cdn" {
  description = "CloudFront in front of bucket and API; without it the bucket is a website (emulators only)."
  type        = bool
}

variable "api_url" {
  description = "URL of the API, for pages that are not served beside it."
  type        = string
}

variable "api_domain" {
  description = "Host of the API, for CloudFront."
  type        = string
}

variable "api_stage" {
  description = "Stage of the API, for CloudFront."
  type        = string
}

variable "send_api_key" {
  description = "Send api_key to the API, which requires it."
  type        = bool
}

variable "api_key" {
  description = "API key that CloudFront sends to the API; null for none."
  type        = string
  sensitive   = true
}

variable "viewer_auth" {
  description = "Who may look: none (everybody), basic or allowed_cidrs."
  type        = string
}

variable "viewer_credentials" {
  description = "SHA-256 of each USER:PASSWORD that may look, in lower-case hexadecimal."
  type        = list(string)
  sensitive   = true
}

variable "viewer_cidrs" {
  description = "Networks that may look."
  type        = list(string)
}

variable "deletion_protection" {
  description = "Refuse to delete the bucket unless it is empty."
  type        = bool
}

variable "frame_ancestors" {
  description = "Who may show charts in a frame: [\"'none'\"], or \"'self'\" and origins such as \"https://example.org\"."
  type        = list(string)
  default     = ["'none'"]
}

variable "aliases" {
  description = "Custom domains; empty for the domain of CloudFront."
  type        = list(string)
  default     = []
}

variable "certificate_arn" {
  description = "Certificate of the custom domains, in us-east-1."
  type        = string
  default     = ""
}

variable "route53_zone_id" {
  description = "Hosted zone that gets the records of the custom domains; empty for none."
  type        = string
  default     = ""
}
