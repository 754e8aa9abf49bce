output "name" {
  description = "Name of the bucket once versioning is on. LocalStack cannot delete objects that were stored before."
  value       = aws_s3_bucket.this.id
  depends_on  = [aws_s3_bucket_versioning.this]
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "domain" {
  description = "Host of the bucket's REST endpoint."
  value       = aws_s3_bucket.this.bucket_regional_domain_name
}
