# The streamer calls the internet, and nothing calls the streamer. A public address without open ports costs a tenth of
# a NAT gateway.

locals {
  creates_network = length(var.subnet_ids) == 0
  vpc_id          = local.creates_network ? aws_vpc.this[0].id : var.vpc_id
  subnet_ids      = local.creates_network ? aws_subnet.this[*].id : var.subnet_ids
  zones           = length(var.availability_zones) > 0 ? var.availability_zones : data.aws_availability_zones.available.names
}

# Without Local Zones and Wavelength Zones, which would come first, and without the zones that have no Fargate
# (ECS Developer Guide, "Supported Regions for Amazon ECS on AWS Fargate").
data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:A new zone changes nothing: subnets keep their zones.
  state            = "available"
  exclude_zone_ids = ["apne1-az3", "cnn1-az3", "cnn1-az4", "usw1-az2"]

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

resource "aws_vpc" "this" {
  #checkov:skip=CKV2_AWS_11:Flow logs of one task without inbound traffic would cost more than they are worth.
  count = local.creates_network ? 1 : 0

  cidr_block           = "10.20.0.0/24"
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# Without rules, so that nothing can use it by accident.
resource "aws_default_security_group" "this" {
  count = local.creates_network ? 1 : 0

  vpc_id = aws_vpc.this[0].id
}

resource "aws_internet_gateway" "this" {
  count = local.creates_network ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = var.name }
}

resource "aws_route_table" "this" {
  count = local.creates_network ? 1 : 0

  vpc_id = aws_vpc.this[0].id
  tags   = { Name = var.name }

  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this[0].id
  }
}

# Two zones, so that a task can restart while one zone is down.
resource "aws_subnet" "this" {
  count = local.creates_network ? 2 : 0

  vpc_id                  = aws_vpc.this[0].id
  cidr_block              = cidrsubnet(aws_vpc.this[0].cidr_block, 2, count.index)
  availability_zone       = local.zones[count.index]
  map_public_ip_on_launch = false
  tags                    = { Name = "${var.name}-${count.index}" }

  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table_association" "this" {
  count = local.creates_network ? 2 : 0

  subnet_id      = aws_subnet.this[count.index].id
  route_table_id = aws_route_table.this[0].id
}

resource "aws_security_group" "this" {
  name        = "${var.name}-streamer"
  description = "Streamer: calls out with HTTPS, takes no calls"
  vpc_id      = local.vpc_id
  tags        = { Name = "${var.name}-streamer" }

  egress {
    description = "HTTPS: sources and AWS"
    protocol    = "tcp"
    from_port   = 443
    to_port     = 443
    cidr_blocks = ["0.0.0.0/0"]
  }

  dynamic "egress" {
    for_each = aws_security_group.spool
    content {
      description     = "NFS: the spool"
      protocol        = "tcp"
      from_port       = 2049
      to_port         = 2049
      security_groups = [egress.value.id]
    }
  }
}
