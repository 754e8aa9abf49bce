locals {
  is_emulated = var.aws_endpoint != ""
}

provider "aws" {
  region = var.aws_region

  # An emulator accepts any keys and addresses buckets by path.
  access_key                  = local.is_emulated ? "test" : null
  secret_key                  = local.is_emulated ? "test" : null
  skip_credentials_validation = local.is_emulated
  skip_metadata_api_check     = local.is_emulated
  s3_use_path_style           = local.is_emulated

  dynamic "endpoints" {
    for_each = local.is_emulated ? [var.aws_endpoint] : []
    content {
      apigateway     = endpoints.value
      budgets        = endpoints.value
      cloudfront     = endpoints.value
      cloudwatch     = endpoints.value
      dynamodb       = endpoints.value
      ec2            = endpoints.value
      ecr            = endpoints.value
      ecs            = endpoints.value
      efs            = endpoints.value
      iam            = endpoints.value
      kinesis        = endpoints.value
      lambda         = endpoints.value
      logs           = endpoints.value
      route53        = endpoints.value
      s3             = endpoints.value
      scheduler      = endpoints.value
      secretsmanager = endpoints.value
      sns            = endpoints.value
      ssm            = endpoints.value
      sts            = endpoints.value
    }
  }

  default_tags {
    tags = {
      Project    = "birdsong"
      Deployment = var.name
      ManagedBy  = "terraform"
    }
  }
}
