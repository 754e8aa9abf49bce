# Who may look. CloudFront runs the function before its cache, so for cached answers too.

locals {
  viewer_settings = {
    none          = {}
    basic         = { credentials = var.viewer_credentials }
    allowed_cidrs = { cidrs = var.viewer_cidrs }
  }[var.viewer_auth]

  viewer_function = var.viewer_auth == "none" ? [] : aws_cloudfront_function.viewer_auth[*].arn
}

resource "aws_cloudfront_function" "viewer_auth" {
  count = var.enable_cdn && var.viewer_auth != "none" ? 1 : 0

  name    = "${var.name}-viewer-auth"
  comment = "Birdsong: who may look (${var.viewer_auth})"
  runtime = "cloudfront-js-2.0"
  publish = true
  code    = "const SETTINGS = ${jsonencode(local.viewer_settings)};\n${file("${path.module}/viewer_auth.js")}"

  lifecycle {
    precondition {
      condition     = length(jsonencode(local.viewer_settings)) + length(file("${path.module}/viewer_auth.js")) < 10000
      error_message = "viewer_auth: a function of CloudFront has at most 10 KB, with all networks or credentials: list fewer."
    }
  }
}
