output "bucket" {
  description = "Name of the bucket."
  value       = module.bucket.name
}

output "domain" {
  description = "Host of the CloudFront distribution; null without one."
  value       = one(aws_cloudfront_distribution.this[*].domain_name)
}
