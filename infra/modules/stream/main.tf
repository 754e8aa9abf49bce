# The post log. A record's partition key is its lane, so each lane is in order.

resource "aws_kinesis_stream" "this" {
  #checkov:skip=CKV_AWS_185:The AWS managed key costs its calls alone, 0.31 US dollars a month; readers are limited by their roles.
  name             = "${var.name}-posts"
  shard_count      = var.mode == "PROVISIONED" ? var.shard_count : null
  retention_period = var.retention_hours
  encryption_type  = "KMS"
  kms_key_id       = "alias/aws/kinesis"

  stream_mode_details {
    stream_mode = var.mode
  }
}
