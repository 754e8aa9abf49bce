# A custom domain.

mock_provider "aws" {
  source = "./tests/mocks"
}

run "domain" {
  module {
    source = "./modules/site"
  }
  variables {
    name                = "test"
    account_id          = "123456789012"
    dir                 = "tests/fixtures/site"
    enable_cdn          = true
    api_url             = "https://abc123.execute-api.us-east-1.amazonaws.com/live"
    api_domain          = "abc123.execute-api.us-east-1.amazonaws.com"
    api_stage           = "live"
    send_api_key        = false
    api_key             = null
    viewer_auth         = "none"
    viewer_credentials  = []
    viewer_cidrs        = []
    deletion_protection = false
    aliases             = ["birds.example.org", "www.birds.example.org"]
    certificate_arn     = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
    route53_zone_id     = "Z0123456789ABCDEFGHIJ"
  }
  assert {
    condition = (
      aws_cloudfront_distribution.this[0].aliases == toset(var.aliases)
      && aws_cloudfront_distribution.this[0].viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021"
      && aws_cloudfront_distribution.this[0].viewer_certificate[0].ssl_support_method == "sni-only"
      && aws_cloudfront_distribution.this[0].viewer_certificate[0].acm_certificate_arn == var.certificate_arn
    )
    error_message = "the domains have the certificate and a modern TLS"
  }
  assert {
    condition = (
      toset([for record in aws_route53_record.alias : "${record.name} ${record.type}"]) == toset([
        "birds.example.org A", "birds.example.org AAAA", "www.birds.example.org A", "www.birds.example.org AAAA",
      ])
      && alltrue([for record in aws_route53_record.alias : record.alias[0].name == "d1.cloudfront.net" && record.alias[0].zone_id == "Z2FDTNDATAQYW2"])
    )
    error_message = "each domain leads to CloudFront, by IPv4 and IPv6"
  }
}
