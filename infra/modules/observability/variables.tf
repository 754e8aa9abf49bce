variable "name" {
  description = "Prefix of names."
  type        = string
}

variable "account_id" {
  description = "Account whose alarms may use the topic."
  type        = string
}

variable "aws_region" {
  description = "AWS region of the dashboard's metrics."
  type        = string
}

variable "stream" {
  description = "Name of the stream."
  type        = string
}

variable "table" {
  description = "Name of the table."
  type        = string
}

variable "aggregator" {
  description = "Name of the aggregator function."
  type        = string
}

variable "event_source_mapping" {
  description = "UUID of the aggregator's trigger."
  type        = string
}

variable "digest" {
  description = "Name of the digest function."
  type        = string
}

variable "schedule_group" {
  description = "Group of the schedule that invokes the digest."
  type        = string
}

variable "streamer" {
  description = "Cluster and service of the streamer; null when it runs elsewhere."
  type        = object({ cluster = string, service = string })
}

variable "api_function" {
  description = "Name of the api function."
  type        = string
}

variable "rest_api" {
  description = "Name of the REST API."
  type        = string
}

variable "api_stage" {
  description = "Stage of the REST API."
  type        = string
}

variable "sources" {
  description = "Sources of the streamer: name as its metrics have it => budget such as 5/day or 100/month, or null. Empty when it runs elsewhere, where nobody collects its metrics."
  type        = map(string)
}

variable "email" {
  description = "E-mail address to notify; empty for none."
  type        = string
}

variable "enable_budget" {
  description = "Create the monthly budget."
  type        = bool
}

variable "budget_usd" {
  description = "US dollars of the monthly budget."
  type        = number
}
