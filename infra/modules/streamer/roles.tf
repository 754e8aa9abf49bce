locals {
  archive_arns = var.archive_bucket_arn == null ? [] : [var.archive_bucket_arn]

  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

# What ECS needs to start the task.
resource "aws_iam_role" "execution" {
  name                 = "${var.name}-streamer-execution"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.trust
}

resource "aws_iam_role_policy" "execution" {
  #checkov:skip=CKV_AWS_355:ecr:GetAuthorizationToken supports no resource; the others name theirs.
  name = "execution"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "SignInToRegistry"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = "*"
      },
      {
        Sid      = "PullImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = aws_ecr_repository.this.arn
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this.arn}:*"
      },
      {
        Sid      = "ReadSecrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = values(local.secret_arns)
      },
      ],
      [
        for parameter in aws_ssm_parameter.regions : {
          Sid      = "ReadRegions"
          Effect   = "Allow"
          Action   = ["ssm:GetParameters"]
          Resource = parameter.arn
        }
    ])
  })
}

# What the streamer itself may do.
resource "aws_iam_role" "task" {
  name                 = "${var.name}-streamer"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.trust
}

resource "aws_iam_role_policy" "task" {
  name = "streamer"
  role = aws_iam_role.task.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "AppendToLog"
        Effect = "Allow"
        # At its start it reads the end of the log, to continue where the last task stopped.
        Action = [
          "kinesis:DescribeStreamSummary",
          "kinesis:GetRecords",
          "kinesis:GetShardIterator",
          "kinesis:ListShards",
          "kinesis:PutRecords",
        ]
        Resource = var.stream_arn
      },
      {
        # Resume points, states of sources, the regions.
        Sid       = "KeepSettings"
        Effect    = "Allow"
        Action    = ["dynamodb:GetItem", "dynamodb:PutItem"]
        Resource  = var.table_arn
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["_meta"] } }
      },
      {
        Sid       = "WriteDeadLetters"
        Effect    = "Allow"
        Action    = ["s3:PutObject"]
        Resource  = "${var.quarantine_bucket_arn}/unreadable/*"
        Condition = { StringEquals = { "s3:ResourceAccount" = var.account_id } }
      },
      ],
      var.reference == "" ? [] : [{
        Sid       = "KeepReferenceCounts"
        Effect    = "Allow"
        Action    = ["dynamodb:PutItem", "dynamodb:Query"]
        Resource  = var.table_arn
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["*#reference#????"] } }
      }],
      # It writes days that are over, and looks which are there. Lifecycle rules remove old ones.
      [
        for arn in local.archive_arns : {
          Sid       = "FindArchivedDays"
          Effect    = "Allow"
          Action    = ["s3:ListBucket"]
          Resource  = arn
          Condition = { StringEquals = { "s3:ResourceAccount" = var.account_id } }
        }
      ],
      [
        for arn in local.archive_arns : {
          Sid       = "ReadManifests"
          Effect    = "Allow"
          Action    = ["s3:GetObject"]
          Resource  = "${arn}/manifests/*"
          Condition = { StringEquals = { "s3:ResourceAccount" = var.account_id } }
        }
      ],
      [
        for arn in local.archive_arns : {
          Sid       = "WriteDays"
          Effect    = "Allow"
          Action    = ["s3:PutObject"]
          Resource  = ["${arn}/manifests/*", "${arn}/region=*"]
          Condition = { StringEquals = { "s3:ResourceAccount" = var.account_id } }
        }
      ],
      [
        for bucket in module.regions : {
          Sid       = "ReadRegions"
          Effect    = "Allow"
          Action    = ["s3:GetObject"]
          Resource  = "${bucket.arn}/regions.toml"
          Condition = { StringEquals = { "s3:ResourceAccount" = var.account_id } }
        }
      ],
      [
        for point in aws_efs_access_point.spool : {
          Sid       = "MountSpool"
          Effect    = "Allow"
          Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
          Resource  = aws_efs_file_system.spool[0].arn
          Condition = { ArnEquals = { "elasticfilesystem:AccessPointArn" = point.arn } }
        }
    ])
  })
}
