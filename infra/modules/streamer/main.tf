# One task that reads the sources and appends frames to the post log.

resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136:The registry encrypts with its own key; images hold no secrets.
  name                 = "${var.name}-streamer"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = !var.deletion_protection

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Keep the last ten images"
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 10 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; they hold counts, no posts.
  #checkov:skip=CKV_AWS_338:Operational logs need not be kept for a year.
  name              = "/ecs/${var.name}-streamer"
  retention_in_days = var.log_retention_days
}

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:Container Insights costs more than the task's logs; its memory and processor, which alarms watch, are free metrics.
  name = var.name
}

locals {
  environment = merge({
    AWS_REGION                 = var.aws_region
    BIRDSONG_DATA              = "/data"
    BIRDSONG_HEALTH_PORT       = "8081"
    BIRDSONG_LOG_FORMAT        = "json"
    BIRDSONG_METRICS           = var.name
    BIRDSONG_QUARANTINE_BUCKET = var.quarantine_bucket
    BIRDSONG_SOURCE            = var.sources
    BIRDSONG_STREAM            = var.stream
    BIRDSONG_TABLE             = var.table
    BIRDSONG_WINDOW            = "${var.window_secs}s"
    },
    var.reference == "" ? {} : { BIRDSONG_REFERENCE = var.reference },
    var.archive_bucket == null ? {} : { BIRDSONG_ARCHIVE = "s3://${var.archive_bucket}" },
    { for object in aws_s3_object.regions : "BIRDSONG_REGIONS_TOML" => "s3://${object.bucket}/${object.key}" },
  )
}

# Task definition and service exist as soon as there is an image, so there is never a deployment that cannot run, to which the
# circuit breaker could roll back. Old definitions stay: it rolls back to them, and so does `make rollback`.
resource "aws_ecs_task_definition" "this" {
  #checkov:skip=CKV_AWS_97:The file system of the spool is encrypted in transit, where there is one.
  count = var.image == "" ? 0 : 1

  skip_destroy             = true
  family                   = "${var.name}-streamer"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory_mb
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = upper(var.architecture)
  }

  # Frames wait here while the log is unavailable. On the task's own disk, a new task starts with an empty one.
  volume {
    name = "data"

    dynamic "efs_volume_configuration" {
      for_each = local.efs
      content {
        file_system_id     = aws_efs_file_system.spool[0].id
        transit_encryption = "ENABLED"

        authorization_config {
          access_point_id = aws_efs_access_point.spool[0].id
          iam             = "ENABLED"
        }
      }
    }
  }

  # 20 GiB is what a task has without this block, which accepts no less than 21.
  dynamic "ephemeral_storage" {
    for_each = var.disk_gb > 20 ? [var.disk_gb] : []
    content {
      size_in_gib = ephemeral_storage.value
    }
  }

  container_definitions = jsonencode([{
    name                   = "streamer"
    image                  = var.image
    essential              = true
    command                = ["stream", "--to", "kinesis"]
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    mountPoints            = [{ sourceVolume = "data", containerPath = "/data", readOnly = false }]
    environment            = [for name, value in local.environment : { name = name, value = value }]
    secrets = concat(
      [for parameter in aws_ssm_parameter.regions : { name = "BIRDSONG_REGIONS_TOML", valueFrom = parameter.arn }],
      [for name, arn in local.secret_arns : { name = name, valueFrom = arn }],
    )
    # A task reads the regions when it starts. The label replaces the task when they change.
    dockerLabels = { regions = sha256(var.regions_toml) }
    healthCheck = {
      command     = ["CMD", "/birdsong", "health"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 60
    }
    # Time to send the frames that wait.
    stopTimeout = 60
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.aws_region
        awslogs-stream-prefix = "streamer"
        # An outage of CloudWatch Logs must not stop the posts.
        mode            = "non-blocking"
        max-buffer-size = "4m"
      }
    }
  }])
}

resource "aws_ecs_service" "this" {
  #checkov:skip=CKV_AWS_333:The streamer calls the internet; a public address without inbound rules replaces a NAT gateway.
  count = var.image == "" ? 0 : 1

  name            = "streamer"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.this[0].arn
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  # One task reads the sources: the old one stops before the new one starts.
  desired_count                      = var.running ? 1 : 0
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = local.subnet_ids
    security_groups  = [aws_security_group.this.id]
    assign_public_ip = var.public_ip
  }

  # The reader is deployed first: an older one would ignore the fields of this version's frames that it does not know.
  depends_on = [
    aws_efs_mount_target.spool,
    aws_iam_role_policy.execution,
    aws_iam_role_policy.task,
    aws_route_table_association.this,
    aws_vpc_security_group_ingress_rule.spool,
    var.reader,
  ]
}
