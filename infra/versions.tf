terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 5.100.0 is the last 5.x. .terraform.lock.hcl chooses the version.
      version = ">= 5.100, < 7"
    }
  }
}
