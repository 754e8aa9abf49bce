output "function" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
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
