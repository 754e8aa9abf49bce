output "repository_url" {
  description = "Address of the image repository."
  value       = aws_ecr_repository.this.repository_url
}

output "cluster" {
  description = "Name of the cluster; its service is `streamer`."
  value       = aws_ecs_cluster.this.name
}

output "secrets" {
  description = "Name of the environment variable => name of the secret that was created for it, or ARN of the existing one."
  value       = tomap({ for name, arn in var.secrets : name => arn == null ? aws_secretsmanager_secret.this[name].name : arn })
}

output "task_definition" {
  description = "ARN of the task definition; null without an image."
  value       = one(aws_ecs_task_definition.this[*].arn)
}
