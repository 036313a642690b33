{{/* What all pods share: who they run as, and what they may not do. */}}
{{- define "openrembg.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "openrembg.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Ray's token, for whoever joins the cluster. */}}
{{- define "openrembg.rayToken" -}}
- name: RAY_AUTH_MODE
  value: token
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .Values.ray.tokenSecret }}
      key: auth_token
{{- end -}}

{{/* A pod of the Ray cluster. dict: root, container, cpus, resources, place (nodeSelector, tolerations). */}}
{{- define "openrembg.rayPod" -}}
metadata:
  labels:
    {{- include "openrembg.selector" .root | nindent 4 }}
    app.kubernetes.io/component: ray
spec:
  automountServiceAccountToken: {{ .mountsToken }}
  enableServiceLinks: false
  securityContext:
    {{- include "openrembg.podSecurity" .root | nindent 4 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .place.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .place.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ .container }}
      image: {{ include "openrembg.image" .root }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      securityContext:
        {{- include "openrembg.containerSecurity" .root | nindent 8 }}
      env:
        - name: RAY_USAGE_STATS_ENABLED
          value: "0"
      {{- if .ports }}
      ports:
        - { name: gcs-server, containerPort: 6379 }
        - { name: dashboard, containerPort: 8265 }
        - { name: metrics, containerPort: 8080 }
      {{- end }}
      # KubeRay's own probes call wget, which the image does not have.
      {{- range list "livenessProbe" "readinessProbe" }}
      {{ . }}:
        exec:
          command:
            - python
            - -c
            - "import urllib.request as r; r.urlopen('http://localhost:52365/api/local_raylet_healthz', timeout=4)"
        initialDelaySeconds: 10
        periodSeconds: 10
        timeoutSeconds: 10
        failureThreshold: 6
      {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        - { name: data, mountPath: /data }
        - { name: tmp, mountPath: /tmp }
        - { name: shm, mountPath: /dev/shm }
  volumes:
    - name: data
      emptyDir: { sizeLimit: 1Gi }
    # Ray's logs, and objects that its memory has no room for.
    - name: tmp
      emptyDir: { sizeLimit: 10Gi }
    - name: shm
      emptyDir: { medium: Memory, sizeLimit: 1Gi }
{{- end -}}
