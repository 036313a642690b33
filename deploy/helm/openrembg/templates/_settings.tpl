{{/* Settings of docs/settings.md that may stand in `settings`: the others are secrets or the chart's own. */}}
{{- define "openrembg.freeSettings" -}}
- OPENREMBG_ALLOWED_HOSTS
- OPENREMBG_ANONYMOUS_PER_DAY
- OPENREMBG_ANONYMOUS_PER_MINUTE
- OPENREMBG_CORS_ORIGINS
- OPENREMBG_DATABASE_CONNECTIONS
- OPENREMBG_EDGE_COLORS
- OPENREMBG_KEPT_ANSWERS_MB
- OPENREMBG_LIMITS
- OPENREMBG_LOG_FORMAT
- OPENREMBG_LOG_LEVEL
- OPENREMBG_MAIL_FROM
- OPENREMBG_MODEL
- OPENREMBG_MODELS_DIR
- OPENREMBG_PIXEL_BUDGET
- OPENREMBG_PRECISION
- OPENREMBG_PROCESSES
- OPENREMBG_PROVIDER
- OPENREMBG_QUEUE
- OPENREMBG_QUEUE_TIMEOUT_S
- OPENREMBG_REQUEST_TIMEOUT_S
- OPENREMBG_SIGN_UP
- OPENREMBG_THREADS
- OPENREMBG_TOKEN_LIFETIME_S
- OPENREMBG_TRACES
- OPENREMBG_WORKERS
- STRIPE_API_BASE
- STRIPE_PAGES
{{- end -}}

{{/* The others that the server knows, and what they follow from. */}}
{{- define "openrembg.ownSettings" -}}
OPENREMBG_INFERENCE: inference
OPENREMBG_PUBLIC_URL: publicUrl
OPENREMBG_TRUSTED_PROXIES: web.trustedProxies
OPENREMBG_SPOOL_MB: web.spoolSize
OPENREMBG_HOST: the image
OPENREMBG_PORT: the image
OPENREMBG_DATA_DIR: the image
{{- end -}}

{{/* A setting's value as the server reads it. dict: name, value, secret (the Secret's name). */}}
{{- define "openrembg.setting" -}}
{{- $free := fromYamlArray (include "openrembg.freeSettings" .) }}
{{- $own := fromYaml (include "openrembg.ownSettings" .) }}
{{- $base := trimSuffix "_FILE" .name }}
{{- if has $base (list "DATABASE_URL" "REDIS_URL" "EMAIL_URL" "SECRET_KEY" "STRIPE_SECRET_KEY" "STRIPE_WEBHOOK_SECRET" "OTEL_EXPORTER_OTLP_HEADERS") }}
{{- fail (printf "settings.%s is a secret: put %s into the Secret %s" .name $base .secret) }}
{{- else if hasKey $own .name }}
{{- fail (printf "settings.%s is set by the chart, from %s" .name (get $own .name)) }}
{{- else if or (hasPrefix "OPENREMBG_RAY_" .name) (hasPrefix "RAY_" .name) }}
{{- fail (printf "settings.%s is set by the chart, from ray" .name) }}
{{- else if not (or (has .name $free) (hasPrefix "OTEL_" .name)) }}
{{- fail (printf "settings.%s is no setting of docs/settings.md" .name) }}
{{- else if kindIs "bool" .value }}
{{- fail (printf "settings.%s: write a word in quotation marks, such as \"on\" or \"off\"; YAML takes it for %t" .name .value) }}
{{- else if and (kindIs "float64" .value) (ne .value (floor .value)) }}
{{- fail (printf "settings.%s: %v is no whole number" .name .value) }}
{{- else if kindIs "float64" .value }}
{{- printf "%.0f" .value }}
{{- else }}
{{- toString .value }}
{{- end }}
{{- end -}}

{{/* What no schema can say of values that belong together. */}}
{{- define "openrembg.check" -}}
{{- if lt (include "openrembg.mebibytes" .Values.web.spoolSize | int) 80 }}
{{- fail "web.spoolSize: at least 80Mi" }}
{{- end }}
{{- $auto := .Values.web.autoscaling }}
{{- if gt (int $auto.minReplicas) (int $auto.maxReplicas) }}
{{- fail "web.autoscaling: minReplicas is more than maxReplicas" }}
{{- end }}
{{- range $name, $some := pick .Values.ray "replicas" "workers" }}
{{- if gt (int $some.min) (int $some.max) }}
{{- fail (printf "ray.%s: min is more than max" $name) }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "ingress.host is empty: the ingress needs the site's host name, such as cut.example" }}
{{- end }}
{{- if and (eq .Values.inference "ray") .Values.ray.address .Values.networkPolicy.enabled (not .Values.ray.from) }}
{{- fail "ray.from is empty: the nodes of the cluster at ray.address talk to the servers, and the network policy would keep them out; name them as peers of a NetworkPolicy, or set networkPolicy.enabled=false" }}
{{- end }}
{{- end -}}
