# The window store: one item per region, window and lane. It is billed per request, because the number of writes
# depends on the windows and not on the posts.

resource "aws_dynamodb_table" "this" {
  #checkov:skip=CKV_AWS_119:The key that AWS owns encrypts at no cost; the table holds sums and sketches, no posts.
  name                        = "${var.name}-windows"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = var.deletion_protection

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.pitr
  }

  # They bound the cost of a month, whatever goes wrong. -1 is no limit.
  dynamic "on_demand_throughput" {
    for_each = var.max_read_request_units == null && var.max_write_request_units == null ? [] : [1]
    content {
      max_read_request_units  = var.max_read_request_units
      max_write_request_units = var.max_write_request_units
    }
  }
}
