output "function" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "newest_version" {
  description = "Newest version of the function."
  value       = aws_lambda_function.this.version
}

output "version" {
  description = "Version of the function that runs."
  value       = aws_lambda_alias.live.function_version
}

output "id" {
  description = "Id of the REST API."
  value       = aws_api_gateway_rest_api.this.id
}

output "name" {
  description = "Name of the REST API."
  value       = aws_api_gateway_rest_api.this.name
}

output "stage" {
  description = "Name of the stage."
  value       = aws_api_gateway_stage.this.stage_name
}

output "url" {
  description = "URL of the stage on AWS."
  value       = aws_api_gateway_stage.this.invoke_url
}

output "domain" {
  description = "Host of the REST API on AWS."
  value       = split("/", aws_api_gateway_stage.this.invoke_url)[2]
}

output "key" {
  description = "API key for CloudFront; null if none is required."
  value       = one(aws_api_gateway_api_key.cloudfront[*].value)
  sensitive   = true
  # CloudFront sends it as soon as it has it, so it must be valid by then.
  depends_on = [aws_api_gateway_usage_plan_key.cloudfront]
}
