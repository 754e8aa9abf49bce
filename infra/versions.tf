terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 5.100.0 is the last 5.x, so this is one version.
      version = "~> 5.100"
    }
  }
}
