output "name" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.id
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "domain" {
  description = "Host of the bucket's REST endpoint."
  value       = aws_s3_bucket.this.bucket_regional_domain_name
}
