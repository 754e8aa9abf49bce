# The dashboard: files in a private bucket, and CloudFront, which serves them and the API from one origin.

locals {
  # config.json is written below and replaces the one of the build.
  files = setsubtract(fileset(var.dir, "**"), ["config.json"])

  content_types = {
    css   = "text/css; charset=utf-8"
    html  = "text/html; charset=utf-8"
    ico   = "image/x-icon"
    jpg   = "image/jpeg"
    js    = "text/javascript; charset=utf-8"
    json  = "application/json"
    map   = "application/json"
    png   = "image/png"
    svg   = "image/svg+xml"
    txt   = "text/plain; charset=utf-8"
    woff2 = "font/woff2"
  }
}

module "bucket" {
  source = "../bucket"

  bucket              = "${var.name}-site-${var.account_id}"
  deletion_protection = var.deletion_protection

  statements = [for distribution in aws_cloudfront_distribution.this : {
    Sid       = "OurCloudFrontReads"
    Effect    = "Allow"
    Principal = { Service = "cloudfront.amazonaws.com" }
    Action    = "s3:GetObject"
    Resource  = "${module.bucket.arn}/*"
    Condition = { StringEquals = { "AWS:SourceArn" = distribution.arn } }
  }]
}

resource "aws_s3_object" "file" {
  for_each = local.files

  bucket       = module.bucket.name
  key          = each.value
  source       = "${var.dir}/${each.value}"
  source_hash  = filemd5("${var.dir}/${each.value}")
  content_type = lookup(local.content_types, reverse(split(".", each.value))[0], "application/octet-stream")
  # The build adds a hash to the names below assets/.
  cache_control = startswith(each.value, "assets/") ? "public, max-age=31536000, immutable" : "no-cache"
}

resource "aws_s3_object" "config" {
  bucket        = module.bucket.name
  key           = "config.json"
  content       = jsonencode({ apiBase = var.enable_cdn ? "" : var.api_url })
  content_type  = "application/json"
  cache_control = "no-cache"
}

resource "aws_s3_bucket_website_configuration" "this" {
  count  = var.enable_cdn ? 0 : 1
  bucket = module.bucket.name

  index_document {
    suffix = "index.html"
  }
}
