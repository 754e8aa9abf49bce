resource "aws_cloudfront_origin_access_control" "this" {
  count = var.enable_cdn ? 1 : 0

  name                              = "${var.name}-site"
  description                       = "Lets CloudFront read the private bucket"
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

# For as long as the API's Cache-Control says, up to a day, also for stale copies. An answer without it is not cached.
resource "aws_cloudfront_cache_policy" "api" {
  count = var.enable_cdn ? 1 : 0

  name        = "${var.name}-api"
  comment     = "Birdsong API: keyed by path and query"
  min_ttl     = 0
  default_ttl = 0
  max_ttl     = 86400

  parameters_in_cache_key_and_forwarded_to_origin {
    enable_accept_encoding_brotli = true
    enable_accept_encoding_gzip   = true

    query_strings_config {
      query_string_behavior = "all"
    }
    # No headers: API Gateway rejects requests with the host of CloudFront.
    headers_config {
      header_behavior = "none"
    }
    cookies_config {
      cookie_behavior = "none"
    }
  }
}

resource "aws_cloudfront_response_headers_policy" "this" {
  #checkov:skip=CKV_AWS_259:It is strict but not preloaded, which only the owner of a domain can promise.
  count = var.enable_cdn ? 1 : 0

  name    = "${var.name}-security"
  comment = "Birdsong: everything from our own origin, nothing inline"

  security_headers_config {
    content_security_policy {
      override = true
      content_security_policy = join("; ", [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors ${join(" ", var.frame_ancestors)}",
      ])
    }
    strict_transport_security {
      override                   = true
      access_control_max_age_sec = 63072000
      include_subdomains         = true
    }
    content_type_options {
      override = true
    }
    # Browsers that know frame-ancestors ignore this one; it has no form for several origins.
    dynamic "frame_options" {
      for_each = var.frame_ancestors == tolist(["'none'"]) ? [1] : []
      content {
        override     = true
        frame_option = "DENY"
      }
    }
    referrer_policy {
      override        = true
      referrer_policy = "no-referrer"
    }
  }

  custom_headers_config {
    items {
      header   = "Permissions-Policy"
      value    = "geolocation=(), camera=(), microphone=()"
      override = true
    }
  }
}

resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV_AWS_68:A web ACL with a rule costs 6 US dollars a month and 0.60 a million requests; the site only reads, and the API throttles.
  #checkov:skip=CKV_AWS_86:Access logs hold visitors' addresses, which nothing here needs.
  #checkov:skip=CKV_AWS_174:A custom domain has TLSv1.2_2021; without one the certificate is CloudFront's, which fixes the protocol.
  #checkov:skip=CKV_AWS_310:There is one bucket and one API; a second of each would not protect the data.
  #checkov:skip=CKV_AWS_374:Viewers may be anywhere; viewer_auth says who they are.
  #checkov:skip=CKV2_AWS_42:A custom domain has a certificate of its own; without one it is CloudFront's.
  #checkov:skip=CKV2_AWS_47:A web ACL costs more than the rest of the site, and nothing here runs Java.
  count = var.enable_cdn ? 1 : 0

  comment             = "Birdsong dashboard and API (${var.name})"
  enabled             = true
  is_ipv6_enabled     = true
  http_version        = "http2and3"
  price_class         = "PriceClass_100"
  default_root_object = "index.html"

  origin {
    origin_id                = "site"
    domain_name              = module.bucket.domain
    origin_access_control_id = aws_cloudfront_origin_access_control.this[0].id
  }

  origin {
    origin_id   = "api"
    domain_name = var.api_domain
    origin_path = "/${var.api_stage}"

    custom_origin_config {
      http_port              = 80
      https_port             = 443
      origin_protocol_policy = "https-only"
      origin_ssl_protocols   = ["TLSv1.2"]
    }

    # It overrides a header of the same name that a viewer sends.
    dynamic "custom_header" {
      for_each = var.send_api_key ? ["x-api-key"] : []
      content {
        name  = custom_header.value
        value = var.api_key
      }
    }
  }

  default_cache_behavior {
    target_origin_id           = "site"
    allowed_methods            = ["GET", "HEAD"]
    cached_methods             = ["GET", "HEAD"]
    viewer_protocol_policy     = "redirect-to-https"
    compress                   = true
    cache_policy_id            = "658327ea-f89d-4fab-a63d-7e88639e58f6" # AWS's CachingOptimized: follows Cache-Control
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this[0].id

    dynamic "function_association" {
      for_each = local.viewer_function
      content {
        event_type   = "viewer-request"
        function_arn = function_association.value
      }
    }
  }

  ordered_cache_behavior {
    path_pattern               = "/api/*"
    target_origin_id           = "api"
    allowed_methods            = ["GET", "HEAD", "OPTIONS"]
    cached_methods             = ["GET", "HEAD", "OPTIONS"]
    viewer_protocol_policy     = "redirect-to-https"
    compress                   = true
    cache_policy_id            = aws_cloudfront_cache_policy.api[0].id
    response_headers_policy_id = aws_cloudfront_response_headers_policy.this[0].id

    dynamic "function_association" {
      for_each = local.viewer_function
      content {
        event_type   = "viewer-request"
        function_arn = function_association.value
      }
    }
  }

  # How long an edge keeps an error, or a stale copy in place of it, before it asks the API again.
  dynamic "custom_error_response" {
    for_each = toset([500, 502, 503, 504])
    content {
      error_code            = custom_error_response.value
      error_caching_min_ttl = 5
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  aliases = var.aliases

  viewer_certificate {
    cloudfront_default_certificate = length(var.aliases) == 0
    acm_certificate_arn            = length(var.aliases) == 0 ? null : var.certificate_arn
    ssl_support_method             = length(var.aliases) == 0 ? null : "sni-only"
    minimum_protocol_version       = length(var.aliases) == 0 ? null : "TLSv1.2_2021"
  }
}

resource "aws_route53_record" "alias" {
  for_each = {
    for record in var.route53_zone_id == "" ? [] : setproduct(var.aliases, ["A", "AAAA"]) :
    "${record[0]} ${record[1]}" => { name = record[0], type = record[1] }
  }

  zone_id = var.route53_zone_id
  name    = each.value.name
  type    = each.value.type

  alias {
    name                   = aws_cloudfront_distribution.this[0].domain_name
    zone_id                = aws_cloudfront_distribution.this[0].hosted_zone_id
    evaluate_target_health = false
  }
}
